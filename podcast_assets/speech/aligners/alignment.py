"""Forced alignment: word times for transcripts whose engine gives none.

An aligner gets the text of a stretch of audio and finds when each word is spoken. A word that cannot be placed has no times, and no
text is ever lost.
"""

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from podcast_assets.common.errors import is_device_error
from podcast_assets.speech.text_measures import join_texts
from podcast_assets.speech.transcribers.window_results import fit_words_to_turn
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Samples, Transcript, Turn, Word

UNALIGNED = "unaligned"
"""Flag of a turn none of whose words could be placed in time."""
LONGEST_SECONDS = 1800.0
"""Longer turns are not aligned: the cost grows with the square of the length."""

log = logging.getLogger(__name__)


class Aligner(Protocol):
    """Protocol of an aligner: finds when the words of a known text are spoken."""

    def align(self, audio: Samples, text: str, language: str | None) -> list[Word]:
        """Return the words of `split_words(text)` in order, as written, with times in seconds from the start of the audio.

        Args:
            audio: one turn, shape (n,), float32 at 16 kHz; may be empty.
            text: transcript of exactly this audio.
            language: ISO 639-1 code; None if unknown.
        """
        ...


def align_transcripts(
    aligner: Aligner, audio: Audio, turns: Sequence[Turn], transcripts: Sequence[Transcript]
) -> list[Transcript]:
    """Add word times to transcripts that have text but no word with times; return the others unchanged.

    Times lie inside the turn and never run backwards. A turn that fails, that is longer than `LONGEST_SECONDS`, or none of whose
    words can be placed has its words without times, and the flag `UNALIGNED`.

    Args:
        aligner: the loaded aligner.
        audio: audio of the episode.
        turns: turns of the episode.
        transcripts: one per turn.

    Raises:
        Exception: the device looks broken, which affects every turn.
    """
    aligned: list[Transcript] = []
    errors: list[Exception] = []
    for turn, transcript in zip(turns, transcripts, strict=True):
        if not _needs_word_times(transcript):
            aligned.append(transcript)
            continue
        try:
            words = _align_turn(aligner, audio, turn, transcript)
        except Exception as error:
            if is_device_error(error):
                raise
            errors.append(error)
            words = words_without_times(split_words(transcript.text))
        flags = transcript.flags
        if not any(w.start is not None for w in words):
            flags = (*(f for f in flags if f != UNALIGNED), UNALIGNED)
        aligned.append(replace(transcript, words=words, flags=flags))
    if errors:
        log.warning("%d of %d turns cannot be aligned: %s", len(errors), len(turns), errors[0])
    return aligned


def _needs_word_times(transcript: Transcript) -> bool:
    return bool(transcript.text.strip()) and not any(w.start is not None for w in transcript.words)


def _align_turn(aligner: Aligner, audio: Audio, turn: Turn, transcript: Transcript) -> list[Word]:
    if turn.end - turn.start > LONGEST_SECONDS:
        raise ValueError(f"a turn of {turn.end - turn.start:.0f} s is longer than {LONGEST_SECONDS:.0f} s")
    first, last = (max(0, round(t * SAMPLE_RATE)) for t in (turn.start, turn.end))
    words = aligner.align(audio[first:last], transcript.text, transcript.language)
    if [w.word for w in words] != split_words(transcript.text):
        raise ValueError("the aligner returned words that differ from the text")
    origin = first / SAMPLE_RATE
    return list(fit_words_to_turn(turn, (_shift_word(w, origin) for w in words)))


def _shift_word(word: Word, seconds: float) -> Word:
    if word.start is None or word.end is None:
        return replace(word, start=None, end=None)
    return replace(word, start=word.start + seconds, end=word.end + seconds)


def words_without_times(words: Iterable[str]) -> list[Word]:
    """Return words without times."""
    return [Word(word, None, None, None) for word in words]


def split_words(text: str) -> list[str]:
    """Split a text into words with their punctuation; joined, they are the text without its spaces.

    In scripts without spaces each letter is a word, as in Whisper.
    """
    return [word for written in text.split() for word in _split_chunk(written)]


def _split_chunk(written: str) -> list[str]:
    words = [""]
    alone: bool | None = None  # whether the last letter of the word is of a script without spaces
    for character in written:
        kind = unicodedata.category(character)
        if kind[0] in "LN":
            own = _is_unspaced_letter(character)
            if alone is not None and (alone or own):
                words.append("")
            alone = own
        elif kind in ("Ps", "Pi") and alone:  # an opening bracket or quotation mark belongs to what follows
            words.append("")
            alone = None
        words[-1] += character
    return words


@lru_cache(maxsize=4096)
def _is_unspaced_letter(letter: str) -> bool:
    return join_texts((letter, letter)) == letter * 2
