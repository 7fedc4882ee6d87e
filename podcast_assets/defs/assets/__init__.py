"""The assets: one module each, thin; the rooms below know how."""
