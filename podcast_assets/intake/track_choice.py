"""Choice of the audio tracks of a file that has several."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from podcast_assets.audio.tracks import AudioTracks
from podcast_assets.common.warned import FileWarning
from podcast_assets.intake.episodes import Recording

TrackChoice = Literal["first", "mix", "episodes", "speakers"]
"""The best track alone; all added up; each an episode of its own; or all added up, with the track as the speaker."""


def parse_choice(value: object, default: TrackChoice) -> tuple[TrackChoice, FileWarning | None]:
    """Return the choice in the metadata column `tracks`, else the default, and a warning about another value."""
    text = str(value).strip().lower() if value is not None else ""
    for choice in get_args(TrackChoice):
        if text == choice:
            return choice, None
    if not text or text == "nan":
        return default, None
    choices = ", ".join(get_args(TrackChoice))
    return default, FileWarning(
        "tracks_unknown",
        f"the metadata column tracks has {text[:40]!r}, which is none of {choices}: {default} was used",
    )


def apply_choice(recording: Recording, choice: TrackChoice, found: AudioTracks) -> Sequence[Recording]:
    """Return the episodes of a recording: itself, or one for each track.

    The episode of the best track keeps the id of the file; that of another track is `<id>-track<number>`.

    Args:
        recording: the file.
        choice: what to take of several tracks.
        found: its tracks.
    """
    numbers = [track.number for track in found.tracks if track.can_be_decoded]
    if choice == "first" or len(numbers) < 2:
        return [recording]
    left = [str(track) for track in found.tracks if not track.can_be_decoded]
    warnings = recording.warnings
    if left:
        reason = f"{len(left)} of {len(found.tracks)} audio tracks left out: {', '.join(left)}; no decoder reads them"
        warnings = (*warnings, FileWarning("tracks_left_out", reason))
    if choice != "episodes":
        return [replace(recording, tracks=tuple(numbers), choice=choice, warnings=warnings)]
    own = replace(recording, tracks=(found.best,), choice=choice, warnings=warnings)
    others = [n for n in numbers if n != found.best]
    return [own, *(replace(own, episode_id=track_episode_id(recording.episode_id, n), tracks=(n,)) for n in others)]


def track_episode_id(episode_id: str, track: int) -> str:
    """Id of the episode of a track, counted from 1, that is not the best one of its file."""
    return f"{episode_id}-track{track}"
