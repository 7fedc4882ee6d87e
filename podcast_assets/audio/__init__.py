"""Decoding, probing, cutting and encoding audio: functions over files and NumPy arrays.

What belongs here: whatever is done to any audio. What does not: speech and its engines (`speech`), and
files in the store (`store`).
"""
