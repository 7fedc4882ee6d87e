"""The engine protocol and what engines share: models, model downloads, devices, ONNX sessions.

What belongs here: whatever is the same for diarizers, transcribers, aligners, scorers, punctuators and separators.
"""
