"""Transcripts of turns from the results of windows: words go to their turns, and figures are averaged.

A recognizer returns a `WindowResult` per window. A window may hold several turns, and a long turn may lie in several windows.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from podcast_assets.speech.text_measures import compression_ratio, join_texts
from podcast_assets.speech.transcribers.context import drop_doubled_words
from podcast_assets.speech.transcribers.windows import Piece, Window
from podcast_assets.speech.types import (
    LANGUAGE_DIFFERS,
    SAMPLE_RATE,
    UNTRANSCRIBED,
    WORDS_OUTSIDE,
    EpisodeSpeech,
    Transcript,
    Turn,
    Word,
)

OTHER_LANGUAGE_PROBABILITY = 0.8
"""Probability at which a different language is flagged (Emilia's threshold, He et al. 2024)."""
OUTSIDE_SECONDS = 0.15
"""Tolerance for the middle of a word outside its turn: times of words are not exact, and none may be lost at an edge."""
OUTSIDE_SHARE = 0.2
"""Share of words outside of their turn at which the turn is flagged."""
DECIMALS = 4
"""Decimals of a model's figures. Further ones depend on the batch size, which changes the order of sums."""


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """Window with its language and batch key."""

    window: Window
    key: Hashable = None
    """Only windows with the same key are recognized together: for instance, one language and one prompt length."""
    language: str | None = None
    """ISO 639-1 code, given or identified."""
    language_probability: float | None = None
    """Probability by the audio; None if unknown before recognition."""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Recognizer output for one window."""

    words: Sequence[Word]
    """Words with times in seconds from the start of the window, each with its leading space; joined, they are the text."""
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    temperature: float | None = None
    language_probability: float | None = None
    """Probability, by the audio, of the language of decoding."""
    detected_language: tuple[str, float] | None = None
    """Most probable language by the audio (ISO 639-1), and its probability."""


@dataclass(slots=True)
class _TurnPart:
    """Part of a turn that lies in one window."""

    words: list[Word]
    seconds: float
    result: WindowResult
    planned: PlannedWindow


def to_transcripts(
    speech: EpisodeSpeech, plan: Sequence[PlannedWindow], results: Sequence[WindowResult | Exception]
) -> list[Transcript]:
    """Build one transcript per turn from the results of the windows.

    The figures of a window (avg_logprob, no_speech_prob) apply to each turn in it; a turn with several windows gets their mean
    weighted by length. A turn with a failed window is flagged and has the words of the other windows.
    """
    parts: list[list[_TurnPart]] = [[] for _ in speech.turns]
    failed: set[int] = set()
    for planned, result in zip(plan, results, strict=True):
        window = planned.window
        if isinstance(result, Exception):
            failed.update(p.turn for p in window.pieces)
            continue
        words: list[list[Word]] = [[] for _ in window.pieces]
        index = 0  # a word without times belongs to the piece of the previous word
        for word in result.words:
            start, end = word.start, word.end
            if start is not None and end is not None:
                index, start, end = window.place(start, end)
            words[index].append(Word(word.word, start, end, word.probability))
        for piece, piece_words in zip(window.pieces, words, strict=True):
            own = list(_drop_context(speech.turns[piece.turn], piece, piece_words))
            parts[piece.turn].append(_TurnPart(own, (piece.end - piece.start) / SAMPLE_RATE, result, planned))
    _drop_doubled(speech.turns, parts)
    return [
        _build_transcript(turn, turn_parts, speech.language, failed=i in failed)
        for i, (turn, turn_parts) in enumerate(zip(speech.turns, parts, strict=True))
    ]


def _drop_context(turn: Turn, piece: Piece, words: Sequence[Word]) -> Iterator[Word]:
    """Yield the words that do not lie in what was heard before and after a turn."""
    earliest, latest = piece.start / SAMPLE_RATE, piece.end / SAMPLE_RATE
    before, after = piece.start < round(turn.start * SAMPLE_RATE), piece.end > round(turn.end * SAMPLE_RATE)
    for word in words:
        start, end = word.start, word.end
        if start is None or end is None:
            yield word
            continue
        if before:
            start = max(start, earliest)
        if after:  # recognizers let the last word reach into the silence after what they heard
            end = min(end, latest)
        middle = (start + end) / 2
        if not ((before and middle < turn.start - OUTSIDE_SECONDS) or (after and middle > turn.end + OUTSIDE_SECONDS)):
            yield replace(word, start=start, end=end)


def _drop_doubled(turns: Sequence[Turn], parts: Sequence[Sequence[_TurnPart]]) -> None:
    """Remove what two turns that touch have both."""
    words = [[w for part in own for w in part.words] for own in parts]
    drop_doubled_words(turns, words)
    for own, left in zip(parts, words, strict=True):
        kept = {id(w) for w in left}
        for part in own:
            part.words = [w for w in part.words if id(w) in kept]


def _build_transcript(turn: Turn, parts: Sequence[_TurnPart], language: str | None, *, failed: bool) -> Transcript:
    text = join_texts(["".join(w.word for w in p.words).strip() for p in parts])
    longest = max(parts, key=lambda p: p.seconds, default=None)
    if longest is not None:
        language = longest.planned.language
    temperatures = [p.result.temperature for p in parts if p.result.temperature is not None]
    probability = weighted_mean([(p.result.language_probability, p.seconds) for p in parts])
    if probability is None and longest is not None:
        probability = _round_figure(longest.planned.language_probability)
    flags = [UNTRANSCRIBED] if failed else []
    if longest is not None and (detected := longest.result.detected_language):
        flags += [LANGUAGE_DIFFERS] if detected[0] != language and detected[1] >= OTHER_LANGUAGE_PROBABILITY else []
    words = [w for p in parts for w in p.words]
    flags += [WORDS_OUTSIDE] if words_lie_outside(turn, words) else []
    return Transcript(
        text=text,
        words=list(fit_words_to_turn(turn, words)),
        language=language,
        language_probability=probability,
        avg_logprob=weighted_mean([(p.result.avg_logprob, p.seconds) for p in parts]),
        no_speech_prob=weighted_mean([(p.result.no_speech_prob, p.seconds) for p in parts]),
        compression_ratio=compression_ratio(text),
        temperature=max(temperatures, default=None),
        flags=tuple(flags),
    )


def words_lie_outside(turn: Turn, words: Iterable[Word]) -> bool:
    """Return whether a fifth or more of the timed words have their middle over `OUTSIDE_SECONDS` before or after their turn.

    Such words lie in the silence between packed turns or after the window. Call this before `fit_words_to_turn`, which moves them
    into the turn.
    """
    first, last = turn.start - OUTSIDE_SECONDS, turn.end + OUTSIDE_SECONDS
    outside = [not first <= (w.start + w.end) / 2 <= last for w in words if w.start is not None and w.end is not None]
    return bool(outside) and sum(outside) >= OUTSIDE_SHARE * len(outside)


def fit_words_to_turn(turn: Turn, words: Iterable[Word]) -> Iterator[Word]:
    """Move words into their turn, none before the end of the previous word: alignment can be a few frames off."""
    previous_end = turn.start
    for word in words:
        start, end = word.start, word.end
        if start is not None and end is not None:
            start = min(max(start, previous_end), turn.end)
            previous_end = end = min(max(end, start), turn.end)
            start, end = round(start, 3), round(end, 3)
        if text := word.word.strip():
            yield Word(text, start, end, _round_figure(word.probability))


def weighted_mean(weighted: Iterable[tuple[float | None, float]]) -> float | None:
    """Return the mean of (value, weight), rounded to `DECIMALS`; None where no value is known."""
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return _round_figure(sum(value * weight for value, weight in known) / total) if total else None


def _round_figure(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
