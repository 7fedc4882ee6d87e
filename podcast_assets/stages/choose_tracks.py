"""The audio tracks of a batch's files, as far as its settings or its metadata ask for more than the best one."""

from collections.abc import Sequence
from dataclasses import replace

from podcast_assets.audio.errors import AudioError
from podcast_assets.audio.tracks import AudioTracks
from podcast_assets.intake.episodes import Recording, TakenNames, make_unique
from podcast_assets.intake.metadata import JoinedMetadata
from podcast_assets.intake.track_choice import TrackChoice, apply_choice, parse_choice
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store

_SINGLE_TRACK = (b"ID3", b"fLaC", b"RIFF", b"RF64", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1", b"FORM")
"""Beginnings of files that hold one track. Of an AVI (RIFF too) more is read."""


def choose_tracks(
    store: Store, found: Sequence[Recording], metadata: JoinedMetadata, default: TrackChoice, before: CommittedTable
) -> list[Recording]:
    """Return the episodes of a batch. Only files for which more than the best track is asked are examined.

    Args:
        store: store with the originals.
        found: the recordings of the batch.
        metadata: of the batch, whose column `tracks` overrides the default.
        default: value of PODCAST_TRACKS.
        before: what the last run committed: a file that had one track then is not examined again.
    """
    single: set[str] = set()
    if before.table is not None:
        single.update(before.table.filter(audio_streams=1)["sha256"].drop_nulls())
    taken = TakenNames(r.episode_id for r in found)
    result: list[Recording] = []
    for file in found:
        choice, warning = parse_choice(metadata.of(file.file.name).get("tracks"), default)
        recording = replace(file, warnings=(*file.warnings, warning)) if warning else file
        if choice == "first" or recording.duplicate_of is not None or recording.file.stored.sha256 in single:
            result.append(recording)
            continue
        tracks = _examine(store, recording.file.stored.key)
        own, *others = apply_choice(recording, choice, tracks) if tracks else [recording]
        result += [own, *(replace(o, episode_id=make_unique(o.episode_id, taken)) for o in others)]
    return result


def _examine(store: Store, key: str) -> AudioTracks | None:
    """Return the tracks of a file; None if it has one, or cannot be read: ingest then says why."""
    from podcast_assets.audio.decode_process import DecoderFailed, DecoderLost, DecoderStuck, probe_in_subprocess

    with store.open(key) as file:
        head = file.read(12)
    if head.startswith(_SINGLE_TRACK) and head[8:] != b"AVI ":
        return None
    with store.local_copy(key) as path:
        try:
            return probe_in_subprocess(path)
        except (AudioError, DecoderFailed, DecoderLost, DecoderStuck):
            return None
