"""Decode, probe, cut and encode audio: plain functions over files and numpy arrays."""
