"""The diarization of an episode from stretches whose speakers are known, with the overlaps that `local_speakers` finds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.diarizers.exclusive import Activity, exclusive_turns
from podcast_assets.speech.diarizers.local_speakers import FRAME, OFFSET, Bools, LocalSpeakers, Stretch, runs
from podcast_assets.speech.diarizers.turns import add_overlap, names_by_appearance
from podcast_assets.speech.types import Diarization, Turn

_BRIDGED = 0.3
"""Seconds of silence that do not end a speaker's stretch, as in NIST's Rich Transcription evaluations."""
_SHORTEST = 0.15
"""Seconds below which speech is not believed."""


class SpeakersByTrack:
    """The speakers that a track has from time to time."""

    def __init__(self, assigned: Sequence[tuple[Stretch, int]]) -> None:
        self._all = list(assigned)
        self._of_track: dict[int, list[tuple[Stretch, int]]] = {}
        for stretch, speaker in assigned:
            self._of_track.setdefault(stretch.track, []).append((stretch, speaker))

    def nearest(self, stretch: Stretch) -> int:
        """Return the speaker who speaks on the stretch's track at the nearest time; on any track if there is none on its own."""
        parts = self._of_track.get(stretch.track, self._all)
        return min(parts, key=lambda part: max(part[0].start - stretch.end, stretch.start - part[0].end, 0))[1]


def build_diarization(
    local: LocalSpeakers,
    assigned: Sequence[tuple[Stretch, int]],
    centres: npt.NDArray[np.float32],
    max_gap: float,
    seconds: float,
) -> Diarization:
    """Build the result.

    Args:
        local: the local speakers.
        assigned: stretches with the index of their speaker, as of `assign_speakers`.
        centres: embedding of each speaker, shape (speakers, d); d is 0 if there was too little speech for any.
        max_gap: pause in seconds up to which one speaker's stretches are one turn.
        seconds: length of the episode.
    """
    active, probability = _activity(local, assigned, len(centres))
    detected = sorted(
        (
            Turn(start * FRAME, end * FRAME, str(speaker))
            for speaker in range(len(centres))
            for start, end in _spoken(active[:, speaker])
        ),
        key=lambda turn: (turn.start, turn.end),
    )
    names = names_by_appearance(detected)
    full = [Turn(t.start, t.end, names[str(t.speaker)]) for t in detected]
    activity: dict[str, Activity] = {name: probability[:, int(label)] for label, name in names.items()}
    turns = _join_turns(exclusive_turns(full, activity, FRAME), max_gap)
    embeddings = {name: centres[int(label)] for label, name in names.items() if centres.shape[1]}
    shifted = [_shift(turn, seconds) for turn in full]
    return Diarization(
        add_overlap([_shift(turn, seconds) for turn in turns], shifted), full=shifted, embeddings=embeddings
    )


def _activity(local: LocalSpeakers, assigned: Sequence[tuple[Stretch, int]], speakers: int) -> tuple[Bools, Activity]:
    """Compute per frame who speaks, and with what probability, both of shape (frames, speakers)."""
    active = np.zeros((local.frames, speakers), np.bool_)
    probability = np.zeros((local.frames, speakers), np.float32)
    for stretch, speaker in assigned:
        active[stretch.start : stretch.end, speaker] = True
        probability[stretch.start : stretch.end, speaker] = 1.0
    by_track = SpeakersByTrack(assigned)
    for overlap in local.overlaps():
        speaker = by_track.nearest(overlap)
        active[overlap.start : overlap.end, speaker] = True
        np.maximum(
            probability[overlap.start : overlap.end, speaker],
            local.probability_on(overlap),
            out=probability[overlap.start : overlap.end, speaker],
        )
    return active, probability


def _spoken(active: Bools) -> list[tuple[int, int]]:
    """Return first and end frame of each stretch of a speaker, without short silences and shorter sounds."""
    joined: list[tuple[int, int]] = []
    for start, end in runs(active):
        if joined and (start - joined[-1][1]) * FRAME < _BRIDGED:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return [(start, end) for start, end in joined if (end - start) * FRAME >= _SHORTEST]


def _join_turns(turns: Sequence[Turn], max_gap: float) -> list[Turn]:
    """Join successive turns of one speaker."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1].speaker == turn.speaker and turn.start - joined[-1].end <= max_gap:
            joined[-1] = Turn(joined[-1].start, turn.end, turn.speaker)
        else:
            joined.append(turn)
    return joined


def _shift(turn: Turn, seconds: float) -> Turn:
    """Move a turn from frames to the clock of an episode of so many seconds."""
    return Turn(min(turn.start + OFFSET, seconds), min(turn.end + OFFSET, seconds), turn.speaker)
