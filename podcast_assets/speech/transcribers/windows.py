"""Windows for recognizers: turns cut into pieces, and short pieces of one speaker packed together.

A recognizer that always computes a whole window (Whisper: 30 s) spends most of its time on silence if it gets one short turn at a
time; packing made it 2.4 times as fast on speech with short turns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from podcast_assets.speech.types import SAMPLE_RATE, Audio, Samples, Turn

SHORTEST_SECONDS = 0.05
"""Shorter pieces are skipped: no word is that short."""
PAUSE_SECONDS = 0.5
"""Silence between packed pieces, so that words do not run together and slightly inaccurate times stay with their piece."""
REACH = 40
"""Most pieces between the first and the last of a window, so that a window spans a few minutes of an episode, not all of it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a turn, in samples from the start of the episode."""

    turn: int
    """Index of the turn that it belongs to."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """Pieces of one speaker, in order, recognized together with `PAUSE_SECONDS` of silence between them."""

    pieces: tuple[Piece, ...]

    @property
    def offsets(self) -> list[int]:
        """Start of each piece in the window, in samples."""
        pause = round(PAUSE_SECONDS * SAMPLE_RATE)
        lengths = [p.end - p.start + pause for p in self.pieces]
        return [0, *np.cumsum(lengths[:-1]).tolist()]

    def __len__(self) -> int:
        last = self.pieces[-1]
        return self.offsets[-1] + last.end - last.start

    def samples(self, audio: Audio) -> Samples:
        """Return the window's samples, shape (len(self),)."""
        if len(self.pieces) == 1:
            return audio[self.pieces[0].start : self.pieces[0].end]
        sound = np.zeros(len(self), np.float32)
        for piece, at in zip(self.pieces, self.offsets, strict=True):
            sound[at : at + piece.end - piece.start] = audio[piece.start : piece.end]
        return sound

    def place(self, start: float, end: float) -> tuple[int, float, float]:
        """Return the index of the piece that contains the middle of a stretch of the window, and its times in the episode, s."""
        middle = (start + end) / 2 * SAMPLE_RATE
        pause = PAUSE_SECONDS / 2 * SAMPLE_RATE
        offsets = self.offsets
        index = next((i for i in reversed(range(len(offsets))) if middle >= offsets[i] - pause), 0)
        shift = (self.pieces[index].start - offsets[index]) / SAMPLE_RATE
        return index, start + shift, end + shift


def cut_turns(
    audio: Audio, turns: Sequence[Turn], longest_seconds: float, heard: Sequence[tuple[float, float]] | None = None
) -> Iterator[Piece]:
    """Cut turns into pieces of at most `longest_seconds`. Turns outside the audio or without length have none.

    Args:
        audio: the episode.
        turns: its turns.
        longest_seconds: length of a piece, at most.
        heard: start and end, in seconds, of what is recognized for each turn, if that is more than the turn (`widen_turns`).
    """
    longest = int(longest_seconds * SAMPLE_RATE)
    shortest = int(SHORTEST_SECONDS * SAMPLE_RATE)
    for i, turn in enumerate(turns):
        if not _is_inside(turn, len(audio), shortest):
            continue
        first, last = heard[i] if heard else (turn.start, turn.end)
        start = max(0, round(first * SAMPLE_RATE))
        end = min(len(audio), round(last * SAMPLE_RATE))
        while end - start > longest:
            cut = start + quietest_point(audio[start : min(end, start + longest + SAMPLE_RATE)], longest)
            yield Piece(i, start, cut)
            start = cut
        if end - start >= shortest:
            yield Piece(i, start, end)


def _is_inside(turn: Turn, length: int, shortest: int) -> bool:
    start, end = max(0, round(turn.start * SAMPLE_RATE)), min(length, round(turn.end * SAMPLE_RATE))
    return end - start >= shortest


def quietest_point(audio: Samples, longest: int) -> int:
    """Find where to cut a stretch longer than `longest` samples: the middle of the quietest fifth of a second.

    The cut lies between half of `longest` and `longest`, and not so near to the end that the rest would be tiny.
    """
    frame, wide = SAMPLE_RATE // 100, 20
    last = min(longest, max(longest // 2 + wide * frame, len(audio) - SAMPLE_RATE))
    near = audio[longest // 2 : last]
    frames = near[: len(near) // frame * frame].reshape(-1, frame)
    energy = np.einsum("ij,ij->i", frames, frames)
    if len(energy) < wide:
        return last
    around = np.convolve(energy, np.ones(wide, np.float32), "valid")
    return longest // 2 + (int(around.argmin()) + wide // 2) * frame


def pack_windows(pieces: Sequence[Piece], turns: Sequence[Turn], longest_seconds: float) -> list[Window]:
    """Pack pieces into windows of at most `longest_seconds`: each takes the next fitting pieces of one speaker in a few minutes.

    Pieces with unknown speakers are packed as if they were one speaker's.
    """
    longest = int(longest_seconds * SAMPLE_RATE)
    pause = round(PAUSE_SECONDS * SAMPLE_RATE)
    windows: list[Window] = []
    open_windows: dict[str | None, list[int]] = {}
    filled: dict[str | None, int] = {}

    def close(speaker: str | None) -> None:
        if chosen := open_windows.pop(speaker, None):
            windows.append(Window(tuple(pieces[i] for i in chosen)))

    for i, piece in enumerate(pieces):
        for speaker in [s for s, chosen in open_windows.items() if i - chosen[0] >= REACH]:
            close(speaker)
        speaker = turns[piece.turn].speaker
        length = piece.end - piece.start
        if speaker in open_windows and filled[speaker] + pause + length > longest:
            close(speaker)
        if speaker in open_windows:
            open_windows[speaker].append(i)
            filled[speaker] += pause + length
        else:
            open_windows[speaker] = [i]
            filled[speaker] = length
    for speaker in list(open_windows):
        close(speaker)
    return windows
