"""Attempts to transcribe a turn again: what the recognizer gets, and how its answers make one transcript."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from podcast_assets.speech.coverage.gaps import Span
from podcast_assets.speech.text_measures import compression_ratio, join_texts
from podcast_assets.speech.transcribers.window_results import weighted_mean
from podcast_assets.speech.transcribers.windows import cut_turns
from podcast_assets.speech.types import SAMPLE_RATE, Attempt, EpisodeSpeech, Transcript, Turn

SHORTEST_PART = 1.0
"""Seconds of a part, at least: recognizers invent words for less."""
PART = 0.6
"""Share of a turn without pauses that its longest part may have."""


def build_input(attempt: Attempt, speech: EpisodeSpeech, index: int, spoken: Sequence[Span]) -> list[EpisodeSpeech]:
    """Build what the recognizer gets for an attempt: each part of a turn as an episode of its own, so that none are packed.

    Args:
        attempt: `alone` and `timestamps` give the whole turn, `pauses` its parts.
        speech: the episode, in the language in which it was transcribed.
        index: of the turn.
        spoken: where somebody speaks in the turn and around it, in order.

    Returns:
        One input per part; empty for `pauses` if the turn is too short for parts.
    """
    turn = speech.turns[index]
    parts = list(_cut_at_pauses(speech, turn, spoken)) if attempt == "pauses" else [turn]
    if attempt == "pauses" and len(parts) == 1:
        return []
    return [
        replace(speech, turns=[part], around=speech.turns, timestamps=attempt == "timestamps" or None) for part in parts
    ]


def join_parts(parts: Sequence[Turn], transcripts: Sequence[Transcript]) -> Transcript:
    """Join the transcripts of the parts of a turn; figures are means weighted by length."""
    text = join_texts([t.text for t in transcripts])
    weights = [part.end - part.start for part in parts]
    temperatures = [t.temperature for t in transcripts if t.temperature is not None]
    longest = max(zip(weights, transcripts, strict=True), key=lambda pair: pair[0])[1]
    return replace(
        longest,
        text=text,
        words=[word for t in transcripts for word in t.words],
        avg_logprob=weighted_mean(zip([t.avg_logprob for t in transcripts], weights, strict=True)),
        no_speech_prob=weighted_mean(zip([t.no_speech_prob for t in transcripts], weights, strict=True)),
        compression_ratio=compression_ratio(text),
        temperature=max(temperatures, default=None),
        flags=tuple(dict.fromkeys(flag for t in transcripts for flag in t.flags)),
    )


def _cut_at_pauses(speech: EpisodeSpeech, turn: Turn, spoken: Sequence[Span]) -> Iterator[Turn]:
    """Cut a turn in the middle of its pauses; where it has none, at its quietest points."""
    start = turn.start
    inside = [(a, b) for a, b in spoken if b > turn.start and a < turn.end]
    for (_, before), (after, _) in pairwise(inside):
        cut = (before + after) / 2
        if cut - start >= SHORTEST_PART and turn.end - cut >= SHORTEST_PART:
            yield replace(turn, start=start, end=cut)
            start = cut
    if start > turn.start:
        yield replace(turn, start=start)
        return
    longest = PART * (turn.end - turn.start)
    if longest < 2 * SHORTEST_PART:
        yield turn
        return
    for piece in cut_turns(speech.audio, [turn], longest):
        yield replace(turn, start=piece.start / SAMPLE_RATE, end=piece.end / SAMPLE_RATE)
