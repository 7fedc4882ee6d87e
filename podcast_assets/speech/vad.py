"""Voice activity detection by Silero's network, in the ONNX form that faster-whisper bundles (no torch).

The network (https://github.com/snakers4/silero-vad, MIT) gives one probability per 32 ms, from the frame, the 2 ms before it and
the state of a recurrent layer (LSTM). One call processes many frames, which silero-vad does in a loop. Context and state carry over
from block to block, so that blocks do not change the result, and long audio needs no more memory than short.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.speech.types import SAMPLE_RATE, Audio

FRAME = 512
"""Samples per probability: 32 ms."""

_CONTEXT = 64  # samples before a frame that are part of the input
_MEMORY = (1, 1, 128)  # shape of each of the LSTM's two states
_BLOCK = 512  # frames at a time, 16 s: they fit into the processor's cache
_HYSTERESIS = 0.15  # silero-vad's: speech goes on down to this far under the threshold


def detect_speech(
    audio: Audio,
    *,
    threshold: float = 0.5,
    min_speech: float = 0.1,
    min_silence: float = 0.25,
    pad: float = 0.03,
) -> list[tuple[float, float]]:
    """Detect speech as (start, end) in seconds, in order, without overlap: `speech_timestamps` of `speech_probabilities`.

    Raises:
        EngineUnavailable: onnxruntime or faster-whisper is not installed.
    """
    if not len(audio):
        return []
    return speech_timestamps(
        speech_probabilities(audio),
        len(audio),
        threshold=threshold,
        min_speech=min_speech,
        min_silence=min_silence,
        pad=pad,
    )


def speech_probabilities(audio: Audio, network: Path | None = None) -> npt.NDArray[np.float32]:
    """Compute the probability of speech, 0 to 1, of each frame of `FRAME` samples.

    Args:
        audio: read in slices of 16 s; the last frame is filled up with silence.
        network: ONNX file with the inputs (input, h, c); that of `model_file()` if None.

    Returns:
        Shape (ceil(len(audio) / FRAME),), float32; the same values as from silero-vad's loop with the same weights.

    Raises:
        EngineUnavailable: onnxruntime or faster-whisper is not installed.
    """
    session = _load_session(network or model_file())
    result = np.empty(-(-len(audio) // FRAME), np.float32)
    hidden, cell = np.zeros(_MEMORY, np.float32), np.zeros(_MEMORY, np.float32)
    context = np.zeros(_CONTEXT, np.float32)
    for first in range(0, len(result), _BLOCK):
        count = min(_BLOCK, len(result) - first)
        samples = audio[first * FRAME : (first + count) * FRAME]
        frames = np.pad(samples, (0, count * FRAME - len(samples))).reshape(count, FRAME)
        block = np.empty((count, _CONTEXT + FRAME), np.float32)
        block[:, _CONTEXT:] = frames
        block[0, :_CONTEXT] = context
        block[1:, :_CONTEXT] = frames[:-1, -_CONTEXT:]
        context = frames[-1, -_CONTEXT:]
        values, hidden, cell = session.run(None, {"input": block, "h": hidden, "c": cell})
        result[first : first + count] = values.reshape(-1)
    return result


def speech_timestamps(
    probabilities: npt.NDArray[np.float32],
    samples: int,
    *,
    threshold: float = 0.5,
    min_speech: float = 0.1,
    min_silence: float = 0.25,
    pad: float = 0.03,
) -> list[tuple[float, float]]:
    """Convert probabilities to speech as (start, end) in seconds, in order, without overlap, by silero-vad's rules.

    Args:
        probabilities: of frames of `FRAME` samples, shape (n,).
        samples: length of the audio.
        threshold: probability, 0 to 1, from which a frame is speech. Speech goes on until `min_silence` seconds have had no frame
            of that probability, counted from the first frame that is 0.15 below it.
        min_speech: shorter stretches are dropped, seconds.
        min_silence: shorter pauses do not end a stretch, seconds.
        pad: added before and after each stretch, seconds; never beyond the middle of a pause or the audio.
    """
    low = max(threshold - _HYSTERESIS, 0.01)
    found: list[tuple[int, int]] = []
    start = quiet = None
    for i, probability in enumerate(probabilities.tolist()):
        if probability >= threshold:
            start, quiet = i if start is None else start, None
        elif start is not None and probability < low:
            quiet = i if quiet is None else quiet
            if (i - quiet) * FRAME >= min_silence * SAMPLE_RATE:
                found.append((start * FRAME, quiet * FRAME))
                start = quiet = None
    if start is not None:
        found.append((start * FRAME, samples))
    found = [(s, e) for s, e in found if e - s > min_speech * SAMPLE_RATE]
    return _pad_stretches(found, samples, pad * SAMPLE_RATE)


def _pad_stretches(found: list[tuple[int, int]], samples: int, pad: float) -> list[tuple[float, float]]:
    """Widen stretches by up to `pad` samples on both sides; convert samples to seconds."""
    starts = [max(0, int(s - pad)) for s, _ in found]
    ends = [min(samples, int(e + pad)) for _, e in found]
    for i in range(len(found) - 1):
        pause = found[i + 1][0] - found[i][1]
        if pause < 2 * pad:
            ends[i], starts[i + 1] = found[i][1] + pause // 2, found[i + 1][0] - pause // 2
    return [(s / SAMPLE_RATE, e / SAMPLE_RATE) for s, e in zip(starts, ends, strict=True)]


@lru_cache(maxsize=2)
def _load_session(network: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineUnavailable("onnxruntime is not installed here: pip install podcast-assets") from error
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1  # more threads slow so small a network down
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(network), sess_options=options, providers=["CPUExecutionProvider"])


def model_file() -> Path:
    """Find Silero's network in the installed faster-whisper, without importing it.

    Raises:
        EngineUnavailable: faster-whisper is not installed, or carries no such file.
    """
    spec = find_spec("faster_whisper")
    if spec and spec.origin:
        for file in sorted(Path(spec.origin).parent.glob("assets/silero_vad*.onnx")):
            return file
    raise EngineUnavailable("the voice activity detector comes with faster-whisper, which is not installed here")
