"""Alignment by connectionist temporal classification (CTC): the likeliest position of each letter of a text.

For every 20 ms of audio, a CTC model gives the probability of each letter of its alphabet and of "blank", no letter (Graves et al.
2006). The Viterbi algorithm finds the likeliest way to spread a text over the frames, and words begin and end with their letters.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.aligners.alignment import split_words, words_without_times
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Word

FRAME = 320
"""Samples from one frame to the next: 20 ms in every model like wav2vec 2.0 (Baevski et al. 2020)."""
SHORTEST = 400
"""Samples that such a model needs for one frame."""
WINDOW = 30 * SAMPLE_RATE
"""Samples of a window: the cost of attention grows with its square. WINDOW and CONTEXT are multiples of FRAME."""
CONTEXT = 2 * SAMPLE_RATE
"""Samples before and after a window that the model hears with it, so that no word is judged at the edge."""
GAP_PENALTY = 0.5
"""Nats by which a frame between words is less likely than its likeliest letter. Speech that the text lacks, or that cannot be
spelled, falls into the gap and not to a neighbour (the star of Pratap et al. 2023, arXiv:2305.13516); the value is the one that
github.com/scagood/stt-api measured for it."""

_APOSTROPHES = str.maketrans("\u2019\u2018\u02bc\uff07", "''''")
_MAX_CELLS = 2**26
"""Maximum number of cells of the search in memory, one byte each; a longer search is recomputed from milestones."""

Logits = npt.NDArray[np.float32]
"""Shape (frames, letters), not normalized."""


@dataclass(frozen=True)
class Alphabet:
    """Alphabet of a model."""

    letters: Mapping[str, int]
    """Letter → its column in the logits."""
    blank: int

    @property
    def size(self) -> int:
        """Minimum number of columns of the logits."""
        return max(self.blank, *self.letters.values()) + 1

    def spell(self, word: str) -> list[int]:
        """Spell a word in the model's letters: capitals, accents and ligatures as the model writes them, without punctuation.

        Empty if the model cannot write one of the word's letters or digits, and for words without any.
        """
        spelled: list[int] = []
        for character in unicodedata.normalize("NFC", word).translate(_APOSTROPHES).strip("'-"):
            kind = unicodedata.category(character)[0]
            if kind in "LN":
                if not (written := self._spell_letter(character)):
                    return []
                spelled += written
            elif (kind == "M" or character in "'-") and character in self.letters:
                spelled.append(self.letters[character])
        return spelled

    def _spell_letter(self, letter: str) -> list[int]:
        compatible = unicodedata.normalize("NFKC", letter)
        plain = "".join(c for c in unicodedata.normalize("NFKD", letter) if unicodedata.category(c)[0] != "M")
        for form in (letter, compatible, plain):
            for written in (form, form.casefold(), form.upper()):
                if written and all(c in self.letters for c in written):
                    return [self.letters[c] for c in written]
        return []


class CtcAligner:
    """Aligner with a loaded CTC model."""

    def __init__(
        self,
        logits: Callable[[Samples], Logits],
        alphabet: Alphabet,
        romanize: Callable[[str], str] | None = None,
    ) -> None:
        """Create an aligner.

        Args:
            logits: the model; gives one row for every FRAME samples except at the end.
            alphabet: meaning of the columns.
            romanize: writes a word in Latin letters, for words that the alphabet cannot spell.
        """
        self._logits = logits
        self._alphabet = alphabet
        self._romanize = romanize

    def align(self, audio: Samples, text: str, language: str | None) -> list[Word]:
        """Implement `Aligner.align`. A word's probability is the mean posterior of its letters over their frames.

        Words that cannot be spelled have no times; nor has any word if the text has more letters than the audio has frames.

        Raises:
            ValueError: the model's output does not match the audio or the alphabet, or is not finite.
        """
        words = split_words(text)
        spelled = [self._spell_word(word) for word in words]
        letters = np.array([letter for word in spelled for letter in word], np.int64)
        if not len(letters) or len(audio) < SHORTEST:
            return words_without_times(words)
        columns, targets = np.unique(letters, return_inverse=True)
        targets += 2
        owners = np.repeat(np.arange(len(words)), [len(word) for word in spelled])
        emissions = self._compute_emissions(audio, columns)
        path = best_path(emissions, targets, np.diff(owners, prepend=-1) > 0)
        if path is None:
            return words_without_times(words)
        frames = np.flatnonzero(path % 2)
        spoken = path[frames] // 2
        return place_words(words, owners[spoken], frames, np.exp(emissions[frames, targets[spoken]]))

    def _spell_word(self, word: str) -> list[int]:
        spelled = self._alphabet.spell(word)
        if spelled or self._romanize is None:
            return spelled
        return self._alphabet.spell(self._romanize(word))

    def _compute_emissions(self, audio: Samples, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Compute log probabilities of blank, a gap and the columns, window by window; shape (frames, 2 + len(columns))."""
        parts: list[npt.NDArray[np.float32]] = []
        for start, end in split_windows(len(audio)):
            before = min(start, CONTEXT)
            window = audio[start - before : end + CONTEXT]
            logits = self._logits(window)
            self._check_logits(logits, len(window))
            first = before // FRAME
            last = first + (end - start) // FRAME if end < len(audio) else None
            parts.append(_select_columns(logits[first:last], self._alphabet.blank, columns))
        return np.concatenate(parts)

    def _check_logits(self, logits: Logits, samples: int) -> None:
        if logits.ndim != 2 or abs(len(logits) - samples / FRAME) > 2:
            raise ValueError(f"the model gives {logits.shape} for {samples} samples, not a row for every {FRAME}")
        if logits.shape[1] < self._alphabet.size:
            raise ValueError(f"the model knows {logits.shape[1]} letters, its vocabulary has {self._alphabet.size}")
        if not np.isfinite(logits).all():
            raise ValueError("the model's output is not finite")


def split_windows(samples: int) -> list[tuple[int, int]]:
    """Split audio into windows, as samples from its start; a short remainder at the end joins the last window."""
    starts = list(range(0, max(samples - SAMPLE_RATE, 1), WINDOW))
    return list(zip(starts, [*starts[1:], samples], strict=True))


def _select_columns(logits: Logits, blank: int, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    top = logits.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    none = logits[:, [blank]]
    likeliest = np.delete(logits, blank, axis=1).max(axis=1, keepdims=True)
    gap = np.maximum(none, likeliest - GAP_PENALTY)
    return np.concatenate([none, gap, logits[:, columns]], axis=1) - total


def best_path(
    emissions: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], starts: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64] | None:
    """Find the likeliest state of each frame, shape (frames,): 2i+1 is letter i, 2i the pause before it. None if it does not fit.

    Two equal letters need a blank between them (a rule of CTC).

    Args:
        emissions: log probabilities, shape (frames, columns): column 0 is blank, 1 a gap between words.
        targets: columns of the letters, in order, shape (letters,).
        starts: whether each letter is the first of a word, shape (letters,).
    """
    states = np.zeros(2 * len(targets) + 1, np.int64)
    states[1::2] = targets
    states[:-1:2] = starts
    states[-1] = 1
    skip = np.zeros(len(states), bool)
    skip[3::2] = targets[1:] != targets[:-1]
    rows = max(1, _MAX_CELLS // len(states))
    blocks = [emissions[at : at + rows] for at in range(0, len(emissions), rows)]
    score = np.full(len(states), -np.inf)
    score[0] = 0.0
    milestones: list[npt.NDArray[np.float64]] = []
    moves = np.zeros((0, len(states)), np.int8)
    for block in blocks:
        milestones.append(score)
        score, moves = _viterbi_forward(score, block, states, skip)
    state = len(states) - 1 if score[-1] >= score[-2] else len(states) - 2
    if not np.isfinite(score[state]):
        return None
    path: list[int] = []
    for n in reversed(range(len(blocks))):
        if n < len(blocks) - 1:
            _, moves = _viterbi_forward(milestones[n], blocks[n], states, skip)
        for move in moves[::-1]:
            path.append(state)
            state -= int(move[state])
    return np.array(path[::-1], np.int64)


def _viterbi_forward(
    score: npt.NDArray[np.float64],
    emissions: npt.NDArray[np.float32],
    states: npt.NDArray[np.int64],
    skip: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Scores after some frames, and how many states each came forward in each frame."""
    moves = np.empty((len(emissions), len(states)), np.int8)
    step, jump = np.full_like(score, -np.inf), np.full_like(score, -np.inf)
    for row, frame in zip(moves, emissions, strict=True):
        step[1:] = score[:-1]
        jump[skip] = score[np.flatnonzero(skip) - 2]
        row[:] = step > score
        best = np.maximum(score, step)
        row[jump > best] = 2
        score = np.maximum(best, jump) + frame[states]
    return score, moves


def place_words(
    words: Sequence[str],
    spoken: npt.NDArray[np.int64],
    frames: npt.NDArray[np.int64],
    posteriors: npt.NDArray[np.float32],
) -> list[Word]:
    """Give words the times of their letters; words without a placed letter have no times.

    Args:
        words: all words of the text.
        spoken: index of the word in each frame with a letter, in order, shape (n,).
        frames: those frames, shape (n,).
        posteriors: probability of the letter in each of those frames, shape (n,).
    """
    placed = words_without_times(words)
    for i in map(int, np.unique(spoken)):
        own = slice(np.searchsorted(spoken, i), np.searchsorted(spoken, i, "right"))
        start, end = int(frames[own][0]) * FRAME, int(frames[own][-1] + 1) * FRAME
        probability = min(float(posteriors[own].mean()), 1.0)
        placed[i] = Word(words[i], start / SAMPLE_RATE, end / SAMPLE_RATE, probability)
    return placed
