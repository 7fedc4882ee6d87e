"""Diarizer `sortformer`: NVIDIA's streaming Sortformer, in an environment of its own."""
