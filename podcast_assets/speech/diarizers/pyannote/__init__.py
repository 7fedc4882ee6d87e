"""Diarizer `pyannote`: pipelines of pyannote.audio."""
