"""What deserves a look in a batch, from its committed tables, and a summary of it for people."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import PurePosixPath

import polars as pl

from podcast_assets.common.warned import KINDS, BatchWarning
from podcast_assets.common.wording import count_noun, join_names
from podcast_assets.config.groups.speech import NO_DIARIZER
from podcast_assets.intake.metadata import METADATA_SUFFIXES, WITHOUT_KEY
from podcast_assets.intake.unpack import ARCHIVE_SUFFIXES
from podcast_assets.stages.episode_names import name_tracks
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.schema import FLAGS
from podcast_assets.store.stage_names import OPTIONAL_STAGES, STAGES, TABLE_STAGES
from podcast_assets.store.store import STORE_READERS, Store

LISTED = 10
"""Files of a kind that a summary names; the others are counted."""
_SHOWN_FLAGS = ("uncovered_speech", "untranscribed", "no_speakers", "fallback")
"""Flags of segments by which words, speakers or accuracy are lost. The others describe a segment."""
_ORDER = {kind: number for number, kind in enumerate(KINDS)}


def read_batch_warnings(store: Store, batch: str) -> list[BatchWarning]:
    """Read what deserves a look in a batch, as far as its assets are materialized."""
    return batch_warnings(read_committed_tables(store, batch), read_batch_discards(store, batch))


def read_committed_tables(store: Store, batch: str) -> dict[str, CommittedTable]:
    """Read the committed tables of a batch, by asset."""
    with ThreadPoolExecutor(STORE_READERS) as readers:
        tables = readers.map(lambda asset: CommittedTable.read(store, asset, batch), TABLE_STAGES)
        return dict(zip(TABLE_STAGES, tables, strict=True))


def batch_warnings(tables: Mapping[str, CommittedTable], discarded: Collection[str] = ()) -> list[BatchWarning]:
    """List what deserves a look in a batch, by kind and name of the file.

    Args:
        tables: asset → its committed table; assets may be missing.
        discarded: ids of discarded episodes, which are left out.
    """
    committed = tables.get("raw_audio", CommittedTable.nothing())
    if committed.table is None:
        return []
    audio = name_tracks(committed.table).filter(~pl.col("episode_id").is_in(list(discarded)))
    failures = {asset: found.failures for asset, found in tables.items() if asset in STAGES}
    warnings = [
        *committed.warnings,
        *_of_files(audio, failures),
        *_of_metadata(audio),
        *_of_speech(audio, tables),
        *_of_optional_stages(tables, discarded),
    ]
    # what was only skipped comes last, after kinds that this version does not know
    return sorted(warnings, key=lambda w: (w.kind == "skipped", _ORDER.get(w.kind, len(_ORDER)), w.kind, w.source))


def episodes_without_speech(diarized: CommittedTable) -> set[str]:
    """Ids of the episodes in which no speech was found.

    Args:
        diarized: committed table of `diarized_segments`.
    """
    return set() if diarized.table is None else set(diarized.fingerprints).difference(diarized.rows["episode_id"])


def summary_lines(warnings: Sequence[BatchWarning]) -> list[str]:
    """Summarize warnings for a terminal: each kind with its number, and under it the messages with the files that they concern.

    At most `LISTED` messages of a kind, and files of a message, are named; the others are counted. Without warnings there are no
    lines.
    """
    lines = [f"deserves a look ({len(warnings):,}):"] if warnings else []
    for kind, group in groupby(warnings, key=lambda w: w.kind):
        found = list(group)
        lines.append(f"  {kind.replace('_', ' ')}: {len(found):,}")
        sources: dict[str, list[str]] = {}
        for warning in found:
            sources.setdefault(warning.message, []).append(warning.source)
        shown = dict(list(sources.items())[:LISTED])
        lines += [f"    {join_names(names, LISTED)}: {message}" for message, names in shown.items()]
        if rest := len(found) - sum(len(names) for names in shown.values()):
            lines.append(f"    and {rest:,} more")
    return lines


def _of_files(audio: pl.DataFrame, failures: Mapping[str, pl.DataFrame]) -> Iterator[BatchWarning]:
    """Files that failed or were skipped, in any required stage, and the warnings of the others."""
    later: dict[str, list[str]] = {}
    for table in failures.values():
        for identity, stage, message in table.select("episode_id", "stage", "message").iter_rows():
            later.setdefault(identity, []).append(f"{stage}: {message}")
    for row in audio.select("episode_id", "source", "status", "error", "sha256", "warnings").iter_rows(named=True):
        source, reason = row["source"], row["error"] or "no reason is recorded"
        if row["episode_id"] in later:
            yield BatchWarning("failed", source, "; ".join(later[row["episode_id"]]))
        elif row["status"] == "failed":
            yield BatchWarning(_kind_of_failure(source), source, reason)
        elif row["status"] == "skipped":
            without_key = reason.startswith(WITHOUT_KEY)
            yield BatchWarning("metadata_joined_nothing" if without_key else "skipped", source, reason)
        for warning in row["warnings"] or ():
            yield BatchWarning(warning["kind"], source, warning["message"])


def _kind_of_failure(source: str) -> str:
    """Kind of a file that could not be taken from its batch. Tables of any version tell by its name what it is."""
    suffix = PurePosixPath(source).suffix.lower()
    if suffix in METADATA_SUFFIXES:
        return "metadata_failed"
    return "archive_broken" if suffix in ARCHIVE_SUFFIXES else "failed"


def _of_metadata(audio: pl.DataFrame) -> Iterator[BatchWarning]:
    """Recordings without metadata in a batch that has some."""
    recordings = audio.filter(pl.col("sha256").is_not_null(), pl.col("status") != "skipped")
    without = recordings.filter(pl.col("metadata").is_null())
    if without.height < recordings.height:
        for source in without["source"]:
            yield BatchWarning("metadata_missing", source, "it has no row in the metadata of the batch")


def _of_speech(audio: pl.DataFrame, tables: Mapping[str, CommittedTable]) -> Iterator[BatchWarning]:
    """Episodes without speech or words, and those of which segments are flagged."""
    nothing = CommittedTable.nothing()
    diarized, transcribed = tables.get("diarized_segments", nothing), tables.get("transcripts", nothing)
    sources = dict(audio.filter(status="done").select("episode_id", "source").iter_rows())
    spoken: set[str] = set(diarized.rows["episode_id"]) if diarized.table is not None else set()
    for identity in _in_order(sources, episodes_without_speech(diarized)):
        yield BatchWarning("no_speech", sources[identity], "no speech was found in it")
    if transcribed.table is not None:
        worded = set(transcribed.table.filter(pl.col("text") != "")["episode_id"])
        for identity in _in_order(sources, (spoken & transcribed.fingerprints.keys()) - worded):
            yield BatchWarning("no_words", sources[identity], "speech was found in it, but no words")
    # without a diarizer no segment has a speaker, which is no surprise
    flagged = [
        t.table.filter(pl.col("engine").ne_missing(NO_DIARIZER)).select("episode_id", "flags")
        for t in (diarized, transcribed)
        if t.table is not None
    ]
    if not flagged:
        return
    counts = pl.concat(flagged).explode("flags").group_by("flags", "episode_id", maintain_order=True).len()
    for flag, identity, number in counts.filter(pl.col("flags").is_in(_SHOWN_FLAGS)).iter_rows():
        if identity in sources:
            yield BatchWarning(flag, sources[identity], f"{count_noun(number, 'segment')}: {FLAGS[flag]}")


def _of_optional_stages(tables: Mapping[str, CommittedTable], discarded: Collection[str]) -> Iterator[BatchWarning]:
    for asset in OPTIONAL_STAGES:
        if asset in tables:
            for row in (
                tables[asset].failures.filter(~pl.col("episode_id").is_in(list(discarded))).iter_rows(named=True)
            ):
                yield BatchWarning("optional_failed", row["source"], f"{row['stage']}: {row['message']}")


def _in_order(sources: Mapping[str, str], episodes: Collection[str]) -> Iterable[str]:
    return (identity for identity in sources if identity in episodes)
