"""What an engine is, and what every engine needs: models, downloads of models, devices, ONNX sessions.

What belongs here: whatever is the same for diarizers, transcribers, aligners, scorers, punctuators and separators.
"""
