"""Speech engines: diarization, transcription, alignment and language identification.

What belongs here: who speaks when, and what is said. What does not: whether a segment is good enough (`quality`), and
running engines over a batch (`stages`).
"""
