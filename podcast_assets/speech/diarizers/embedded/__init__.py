"""Diarizer `embedded`: Silero's voice activity, spectral voice prints, clustering. Nothing to download."""
