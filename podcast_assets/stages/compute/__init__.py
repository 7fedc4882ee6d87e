"""Where a stage computes: in this process, or on the workers of a Ray cluster. The runner does not know which."""
