"""Rows of `raw_audio`: ids, duplicates, metadata and status of each file of a batch."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from podcast_assets.common.language_codes import language_code
from podcast_assets.common.warned import FileWarning
from podcast_assets.intake.file_names import file_episode_id
from podcast_assets.intake.given_metadata import fill_missing
from podcast_assets.intake.metadata import JoinedMetadata, first_text, to_json
from podcast_assets.intake.names import slug
from podcast_assets.intake.unpack import SourceFile, UnpackedBatch
from podcast_assets.store.schema import RAW_AUDIO, make_table

Row = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    """A recording of a batch with its id; `duplicate_of` names the recording with the same bytes that is kept instead."""

    episode_id: str
    file: SourceFile
    duplicate_of: str | None
    tracks: tuple[int, ...] = ()
    """Audio tracks that are taken of a file with several, counted from 1; empty for the best one."""
    choice: str | None = None
    """How several tracks are taken (`podcast_assets.intake.track_choice.TrackChoice`); None for the best one alone."""
    warnings: tuple[FileWarning, ...] = ()
    """What deserves a look beside what ingest finds."""

    @property
    def shown(self) -> str:
        """Name for people."""
        return f"{self.file.name} (track {self.tracks[0]})" if self.choice == "episodes" else self.file.name


def recordings(files: Sequence[SourceFile], identities: Mapping[str, str] | None = None) -> list[Recording]:
    """Assign ids to the files of a batch, sorted by name. Of files with the same bytes the first is the episode.

    Args:
        files: files of a batch.
        identities: known ids by name; the others are derived from name and bytes.
    """
    known = identities or {}
    first_by_hash: dict[str, str] = {}
    taken = TakenNames()
    result = []
    for file in sorted(files, key=lambda f: f.name):
        identity = make_unique(known.get(file.name) or file_episode_id(file.name, file.stored.sha256), taken)
        result.append(Recording(identity, file, first_by_hash.get(file.stored.sha256)))
        if file.stored.bytes:  # each empty file is a failure of its own, not a duplicate
            first_by_hash.setdefault(file.stored.sha256, identity)
    return result


def batch_rows(
    unpacked: UnpackedBatch,
    found: Sequence[Recording],
    metadata: JoinedMetadata,
    ingested: pl.DataFrame,
    failures: pl.DataFrame,
    also_in: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Make the table of `raw_audio`: one row per file of the batch, in order of name.

    Args:
        unpacked: contents of the batch.
        found: its recordings.
        metadata: its joined metadata.
        ingested: rows of the stage `ingest`.
        failures: failures of the stage `ingest`.
        also_in: SHA-256 → episode of another batch with the same bytes.
    """
    facts = {row["episode_id"]: row for row in ingested.iter_rows(named=True)}
    errors = dict(failures.select("episode_id", "message").iter_rows())
    elsewhere = also_in or {}
    rows = [
        _recording_row(r, metadata, facts.get(r.episode_id), errors.get(r.episode_id))
        | {"also_in": elsewhere.get(r.file.stored.sha256), "earlier_sha256": unpacked.earlier.get(r.file.name)}
        for r in found
    ]
    taken = TakenNames(r.episode_id for r in found)
    for status, others in (("skipped", unpacked.skipped), ("failed", unpacked.broken)):
        for name, reason in others.items():
            identity = make_unique(unpacked.identities.get(name) or f"{slug(name)}-{status}", taken)
            about = _metadata_columns(metadata.of(name))
            rows.append(_make_row(episode_id=identity, source=name, status=status, error=reason, **about))
    return make_table(sorted(rows, key=lambda r: r["source"]), RAW_AUDIO)


def with_defaults(rows: pl.DataFrame, defaults: Mapping[str, Any]) -> pl.DataFrame:
    """Give rows of `raw_audio` what their own metadata do not say: in their columns, and in `metadata` what has no column.

    Args:
        rows: rows of `raw_audio`.
        defaults: columns of the batch's defaults (`arrivals.default_metadata`).
    """
    texts = {k: str(v) for k, v in defaults.items() if k in ("language", "license", "podcast", "title")}
    others = {k: v for k, v in defaults.items() if k not in texts}
    rows = rows.with_columns(pl.col(name).fill_null(value) for name, value in texts.items())
    if not others:
        return rows
    metadata = [to_json(fill_missing(json.loads(m) if m else {}, others)) for m in rows["metadata"]]
    return rows.with_columns(pl.Series("metadata", metadata, dtype=pl.String))


def _recording_row(recording: Recording, metadata: JoinedMetadata, facts: Row | None, error: str | None) -> Row:
    file = recording.file
    row = _make_row(
        episode_id=recording.episode_id,
        source=file.name,
        status="done",
        error=error,
        duplicate_of=recording.duplicate_of,
        sha256=file.stored.sha256,
        md5=file.stored.md5,
        bytes=file.stored.bytes,
        original=file.stored.key,
        tracks=recording.choice,
        **_metadata_columns(metadata.of(file.name)),
    )
    if recording.duplicate_of is not None:
        return row | {"status": "skipped", "error": f"the same bytes as {recording.duplicate_of}"}
    if facts is None:
        return row | {"status": "failed"}
    return row | facts | {"warnings": [*(facts["warnings"] or []), *map(asdict, recording.warnings)]}


def _metadata_columns(row: Row) -> Row:
    """Columns of an episode from its metadata row."""
    return {
        "title": first_text(row, "title", "episode_title"),
        "podcast": first_text(row, "podcast", "podcast_title"),
        "podcast_id": first_text(row, "podcast_guid", "podcast_id"),
        "language": language_code(first_text(row, "language", "lang")),
        "license": first_text(row, "license", "licence"),
        "metadata": to_json(row),
    }


def _make_row(**values: Any) -> Row:
    return dict.fromkeys(RAW_AUDIO) | values


class TakenNames(set[str]):
    """Names in use, with a counter per name so that many equal names stay fast."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names)
        self.times: Counter[str] = Counter()


def make_unique(name: str, taken: TakenNames) -> str:
    """Return a name that is not in use, by adding a number if necessary, and mark it as used."""
    result = name
    while result in taken:
        taken.times[name] += 1
        result = f"{name}-{taken.times[name] + 1}"
    taken.add(result)
    return result
