"""Share of speech in segments."""

from collections.abc import Sequence

import numpy as np

from podcast_assets.speech import vad
from podcast_assets.speech.types import SAMPLE_RATE, Audio

_SPEECH = 0.5  # silero-vad's default threshold


def speech_shares(audio: Audio, segments: Sequence[tuple[float, float]]) -> list[float | None]:
    """Compute the share of each segment `(start, end)` in seconds, 0 to 1, in which Silero detects speech, in frames of 32 ms.

    The detector processes the whole episode, because it needs earlier audio as context. None for a segment without samples.

    Raises:
        EngineUnavailable: onnxruntime or faster-whisper is not installed.
    """
    speech = vad.speech_probabilities(audio) >= _SPEECH if len(audio) else np.zeros(0, np.bool_)
    speech_frames = np.concatenate([[0], np.cumsum(speech)])
    shares = list[float | None]()
    for start, end in segments:
        first = round(start * SAMPLE_RATE) // vad.FRAME
        last = min(-(-round(end * SAMPLE_RATE) // vad.FRAME), len(speech))
        shares.append(float(speech_frames[last] - speech_frames[first]) / (last - first) if last > first else None)
    return shares
