"""No diarization: stretches of speech, found by voice activity detection, whose speakers are unknown."""

from pathlib import Path

from podcast_assets.config.groups.speech import NO_DIARIZER
from podcast_assets.engines.engine import Engine
from podcast_assets.speech import vad
from podcast_assets.speech.types import Audio, Diarization, Diarizer, Turn


class NoDiarizer(Engine):
    """Finds speech without speakers, for recordings with one speaker or where it does not matter who speaks."""

    name = NO_DIARIZER
    packages = ("faster-whisper", "onnxruntime")

    def load(self, device: str | None = None) -> Diarizer:
        """Return the worker.

        Raises:
            EngineUnavailable: faster-whisper, which carries the network, is not installed.
        """
        vad.model_file()
        return _SpeechFinder()

    def model_files(self) -> list[Path]:
        """Return Silero's network."""
        return [vad.model_file()]


class _SpeechFinder:
    thread_safe = True

    def diarize(self, audio: Audio, *, min_speakers: int | None = None, max_speakers: int | None = None) -> Diarization:
        """Return stretches of speech; bounds of the number of speakers do not matter."""
        return speech_without_speakers(audio)


def speech_without_speakers(audio: Audio) -> Diarization:
    """Diarization of stretches of speech whose speakers are unknown."""
    return Diarization([Turn(start, end, None) for start, end in vad.detect_speech(audio)])
