"""Decoding, probing, cutting and encoding audio: functions over files and NumPy arrays."""
