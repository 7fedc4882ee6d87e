"""Speech engines: diarization, transcription, alignment and language identification."""
