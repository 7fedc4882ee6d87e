"""Whisper decoding of a batch of windows: one prompt each, higher temperatures for repetitive or unlikely texts, and word times.

It replaces faster-whisper's `BatchedInferencePipeline` (1.2), which decodes at the first temperature only, has one prompt for all
windows, lets word times depend on the rest of the batch, and drops what follows the last timestamp token.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from podcast_assets.speech.text_measures import LOOP_RATIO, compression_ratio
from podcast_assets.speech.transcribers.faster_whisper.encoding import Features, encode, select
from podcast_assets.speech.types import Word

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import WhisperModel

NO_SPEECH_PROB = 0.6
LOGPROB = -1.0
"""A window is silent if no_speech_prob is above the first and avg_logprob below the second; else it is decoded again if avg_logprob
is below the second or the text is a loop (Radford et al. 2022, section 4.5)."""
PREPENDED, APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001
"""Punctuation that belongs to the word after it, and to the word before it (faster-whisper's defaults)."""


@dataclass(frozen=True, slots=True)
class Search:
    """Settings of the token search."""

    beam_size: int
    """Beams at temperature 0."""
    best_of: int
    """Samples drawn above temperature 0, of which the likeliest is used."""
    temperatures: Sequence[float]
    suppressed: Sequence[int]
    """Tokens that are never chosen."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoding of a window."""

    tokens: Sequence[int]
    text: str
    avg_logprob: float
    no_speech_prob: float
    temperature: float
    languages: Mapping[str, float] = field(default_factory=dict)
    """ISO 639-1 code → probability by the audio, likeliest first; empty for models of one language."""

    @property
    def loops(self) -> bool:
        """Return whether the text repeats itself in a loop."""
        return (compression_ratio(self.text) or 0.0) > LOOP_RATIO

    @property
    def silent(self) -> bool:
        """Return whether the model considers the window silent."""
        return self.no_speech_prob > NO_SPEECH_PROB and self.avg_logprob < LOGPROB

    @property
    def doubtful(self) -> bool:
        """Return whether decoding at a higher temperature may be better."""
        return not self.silent and (self.loops or self.avg_logprob < LOGPROB)


def decode(
    model: "WhisperModel",
    features: Features,
    prompts: Sequence[list[int]],
    tokenizer: "Tokenizer",
    search: Search,
    seconds: Sequence[float],
) -> list[tuple[Decoded, list[Word]]]:
    """Decode windows.

    Args:
        model: the loaded model.
        features: features of the windows.
        prompts: prompt of each window; CTranslate2 requires the same length for all.
        tokenizer: tokenizer for the language of all windows.
        search: settings of the token search.
        seconds: length of each window; the rest is padding.

    Returns:
        For each window its decoding, and its words with times from its start, written with the space before them.
    """
    encoded = encode(model, features)
    attempts = [[d] for d in _generate_tokens(model, encoded, prompts, tokenizer, search, search.temperatures[0])]
    for temperature in search.temperatures[1:]:
        again = [i for i, t in enumerate(attempts) if t[-1].doubtful]
        if not again:
            break
        some = select(model, encoded, features, again)
        hotter = _generate_tokens(model, some, [prompts[i] for i in again], tokenizer, search, temperature)
        for i, decoded in zip(again, hotter, strict=True):
            attempts[i].append(decoded)
    best = [t[-1] if not t[-1].doubtful else _best_attempt(t) for t in attempts]
    if model.model.is_multilingual:
        best = [replace(d, languages=found) for d, found in zip(best, detect_languages(model, encoded), strict=True)]
    return list(zip(best, _align_words(model, encoded, best, tokenizer, seconds), strict=True))


def detect_languages(model: "WhisperModel", encoded: Any) -> list[dict[str, float]]:
    """Detect the language of each encoded window: ISO 639-1 code → probability, likeliest first. One step of the decoder."""
    return [
        {token.removeprefix("<|").removesuffix("|>"): float(probability) for token, probability in found}
        for found in model.model.detect_language(encoded)
    ]


def _generate_tokens(
    model: "WhisperModel",
    encoded: Any,
    prompts: Sequence[list[int]],
    tokenizer: "Tokenizer",
    search: Search,
    temperature: float,
) -> list[Decoded]:
    options = (
        {"beam_size": 1, "num_hypotheses": search.best_of, "sampling_topk": 0, "sampling_temperature": temperature}
        if temperature > 0
        else {"beam_size": search.beam_size}
    )
    results = model.model.generate(
        encoded,
        list(prompts),
        max_length=model.max_length,
        return_scores=True,
        return_no_speech_prob=True,
        suppress_tokens=list(search.suppressed),
        **options,
    )
    decoded = []
    for result in results:
        tokens = result.sequences_ids[0]
        # CTranslate2's mean leaves out the end token, which Whisper counts
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
        decoded.append(
            Decoded(tokens, tokenizer.decode(tokens).strip(), logprob, float(result.no_speech_prob), temperature)
        )
    return decoded


def _best_attempt(attempts: Sequence[Decoded]) -> Decoded:
    """Return the likeliest attempt without a loop, else the likeliest of all."""
    return max([t for t in attempts if not t.loops] or attempts, key=lambda t: t.avg_logprob)


def _align_words(
    model: "WhisperModel", encoded: Any, windows: Sequence[Decoded], tokenizer: "Tokenizer", seconds: Sequence[float]
) -> list[list[Word]]:
    texts: Any = [
        [t for t in d.tokens if t < tokenizer.eot] for d in windows
    ]  # the library annotates the type for one window
    frames: Any = [min(math.ceil(s * model.frames_per_second), 3000) for s in seconds]  # as above
    found = model.find_alignment(tokenizer, texts, encoded, frames)
    timed = []
    for decoded, alignment, length in zip(windows, found, seconds, strict=True):
        words = _Aligned(model, alignment).words(decoded.tokens, tokenizer, length)
        # text that is too short to be aligned keeps its words, without times
        timed.append(words or [Word(f" {word}", None, None, None) for word in decoded.text.split()])
    return timed


class _Aligned:
    """Stand-in for the model that lets faster-whisper compute the word times of a single, already aligned window.

    For a batch, faster-whisper counts times from the start of the first window, so its rules for words that are too long depend on
    the position in the batch: they look at the window before, halve absolute times, and compare rounded values.
    """

    def __init__(self, model: "WhisperModel", alignment: Any) -> None:
        self.frames_per_second = model.frames_per_second
        self._alignment = alignment

    def find_alignment(self, *_: Any) -> list[Any]:
        return [self._alignment]

    def words(self, tokens: Sequence[int], tokenizer: "Tokenizer", seconds: float) -> list[Word]:
        from faster_whisper.transcribe import WhisperModel

        segment: dict[str, Any] = {"seek": 0, "tokens": tokens, "start": 0.0, "end": seconds}
        model: Any = self
        nothing_before = -math.inf
        encoded: Any = None
        segments: Any = [[segment]]
        WhisperModel.add_word_timestamps(model, segments, tokenizer, encoded, 0, PREPENDED, APPENDED, nothing_before)
        return [
            Word(w["word"], float(w["start"]), float(w["end"]), float(w["probability"]))
            for w in segment.get("words") or ()
        ]
