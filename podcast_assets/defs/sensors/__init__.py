"""Sensors: what starts work, or reports on it, by itself."""
