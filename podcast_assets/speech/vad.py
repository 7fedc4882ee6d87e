"""Where there is speech: Silero's voice activity detector, in the ONNX form that faster-whisper carries (no torch)."""

from importlib.util import find_spec
from pathlib import Path

from podcast_assets.engines import EngineUnavailable
from podcast_assets.speech.types import SAMPLE_RATE, Samples


def speech_stretches(
    audio: Samples,
    *,
    threshold: float = 0.5,
    min_speech: float = 0.1,
    min_silence: float = 0.25,
    pad: float = 0.03,
) -> list[tuple[float, float]]:
    """Stretches of speech as (start, end) in seconds, in order and without overlap.

    Args:
        audio: mono samples at 16 kHz.
        threshold: speech probability of a 32 ms frame, 0 to 1, from which it counts as speech.
        min_speech: shorter stretches are dropped, seconds.
        min_silence: shorter pauses do not end a stretch, seconds.
        pad: added before and after each stretch, seconds; never beyond the middle of a pause or the audio.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if not len(audio):
        return []
    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=round(min_speech * 1000),
        min_silence_duration_ms=round(min_silence * 1000),
        speech_pad_ms=round(pad * 1000),
    )
    stretches = get_speech_timestamps(audio, options, sampling_rate=SAMPLE_RATE)
    return [(s["start"] / SAMPLE_RATE, min(s["end"], len(audio)) / SAMPLE_RATE) for s in stretches]


def model_file() -> Path:
    """Silero's network inside the installed faster-whisper; found without importing it.

    Raises:
        EngineUnavailable: faster-whisper is not installed, or carries no such file.
    """
    spec = find_spec("faster_whisper")
    if spec and spec.origin:
        for file in sorted(Path(spec.origin).parent.glob("assets/silero_vad*.onnx")):
            return file
    raise EngineUnavailable("the voice activity detector comes with faster-whisper, which is not installed here")
