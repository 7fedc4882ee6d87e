"""Transcriber `faster-whisper`: Whisper by CTranslate2."""
