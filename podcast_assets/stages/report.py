"""Report of a batch, read from its tables: for a terminal, and as one JSON object."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from podcast_assets.common.warned import BatchWarning
from podcast_assets.common.wording import count_noun
from podcast_assets.shards.sealing import shard_list
from podcast_assets.stages.batch_state import batch_state
from podcast_assets.stages.batch_warnings import batch_warnings, read_committed_tables, summary_lines
from podcast_assets.stages.episode_names import name_tracks
from podcast_assets.stages.failure_reasons import failure_reason
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.schema import ASSETS
from podcast_assets.store.stage_names import STAGES
from podcast_assets.store.store import Store, sealed_key, table_key, transcript_key

_STATUSES = ("done", "failed", "skipped", "discarded")
_COMMONEST_LANGUAGE = pl.col("language").drop_nulls().mode().sort().first()

_PARAGRAPHS = 24
"""Paragraphs of a transcript that are printed: title, facts, and about twenty turns."""


@dataclass(frozen=True)
class EpisodeReport:
    """One file of a batch, with its status."""

    episode_id: str
    source: str
    status: str
    """done, failed, skipped or discarded."""
    error: str | None
    """The error message, with the stage that failed; of a discarded episode, when and why it was discarded."""
    language: str | None
    duration: float | None
    """Seconds."""
    speakers: int
    text: str


@dataclass(frozen=True)
class ShardReport:
    """One sealed shard."""

    path: str
    sha256: str
    samples: int


@dataclass(frozen=True)
class BatchReport:
    """A batch, as far as its assets are materialized."""

    batch: str
    episodes: list[EpisodeReport]
    segments: int
    hours: float
    """Audio of the episodes that are done, h."""
    state: str
    """done, failed or empty (see `batch_state`); begun if a stage is not committed."""
    counts: dict[str, int]
    """Number of episodes that are done, failed, skipped and discarded."""
    shards: list[ShardReport]
    tables: dict[str, str]
    """Asset → path of its table."""
    seconds: dict[str, float]
    """Stage → time that it took in this run, s."""
    warnings: list[BatchWarning] = field(default_factory=list)
    """What deserves a look, by kind."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def batch_report(store: Store, batch: str, seconds: Mapping[str, float]) -> BatchReport:
    """Return the report of a batch. Tables that a stopped run did not write are left out."""
    committed = read_committed_tables(store, batch)
    if damaged := next((a for a in ASSETS if committed[a].damage), None):
        store.read_table(table_key(damaged, batch), ASSETS[damaged])  # raises DamagedTable, which says what to do
    tables = {a: committed[a].table for a in ASSETS}
    failed = pl.concat(committed[a].failures for a in STAGES)
    audio, texts, shards = tables["raw_audio"], tables["transcripts"], tables["hf_shards"]
    discarded = read_batch_discards(store, batch)
    speech = _speech_by_episode(tables["diarized_segments"], texts)
    episodes = (
        []
        if audio is None
        else [_episode_report(row, speech, failed, discarded) for row in name_tracks(audio).iter_rows(named=True)]
    )
    counts = {status: sum(e.status == status for e in episodes) for status in _STATUSES}
    return BatchReport(
        batch=batch,
        episodes=episodes,
        state="begun"
        if any(t is None for t in tables.values())
        else batch_state(done=counts["done"], failed=counts["failed"]),
        counts=counts,
        segments=0 if shards is None else shards.height,
        hours=round(sum(e.duration or 0.0 for e in episodes if e.status == "done") / 3600, 4),
        shards=[]
        if shards is None
        else [
            ShardReport(str(store.path(sealed_key(batch, row["shard"]))), row["sha256"], row["samples"])
            for row in shard_list(shards).iter_rows(named=True)
        ],
        tables={a: str(store.path(table_key(a, batch))) for a, t in tables.items() if t is not None},
        seconds=dict(seconds),
        warnings=batch_warnings(committed, discarded),
    )


def stage_failures(store: Store, batch: str, tables: Iterable[str] = STAGES) -> pl.DataFrame:
    """Return a batch's failures in the stages of these tables, in their order; by default those without which no batch is done."""
    return pl.concat(CommittedTable.read(store, table, batch).failures for table in tables)


def identified_languages(texts: pl.DataFrame | None) -> dict[str, str]:
    """Return the language of most segments of each episode of which one was identified.

    Args:
        texts: table of `transcripts`, if there is one.
    """
    if texts is None:
        return {}
    found = texts.group_by("episode_id").agg(language=_COMMONEST_LANGUAGE).drop_nulls("language")
    return dict(found.select("episode_id", "language").iter_rows())


def _speech_by_episode(segments: pl.DataFrame | None, texts: pl.DataFrame | None) -> dict[str, dict[str, Any]]:
    """Return the speakers, language and text of each episode, as far as they are known."""
    if segments is None:
        return {}
    if texts is None:
        joined = segments.with_columns(text=pl.lit(""), language=pl.lit(None, pl.String))
    else:
        joined = segments.join(
            texts.select("segment_id", "text", "language"), on="segment_id", how="left", maintain_order="left"
        )
    facts = joined.group_by("episode_id", maintain_order=True).agg(
        speakers=pl.col("speaker").drop_nulls().n_unique(),
        language=_COMMONEST_LANGUAGE,
        text=pl.col("text").fill_null("").filter(pl.col("text") != "").str.join(" "),
    )
    return {row["episode_id"]: row for row in facts.iter_rows(named=True)}


def _episode_report(
    row: Mapping[str, Any],
    speech: Mapping[str, dict[str, Any]],
    failed: pl.DataFrame,
    discarded: Mapping[str, str],
) -> EpisodeReport:
    identity = row["episode_id"]
    facts = speech.get(identity, {"speakers": 0, "language": None, "text": ""})
    status, error = row["status"], row["error"]
    later = failed.filter(episode_id=identity)
    if later.height:
        status, error = "failed", "; ".join(f"{s}: {m}" for s, m in later.select("stage", "message").iter_rows())
    if identity in discarded:
        status, error = "discarded", discarded[identity]
    return EpisodeReport(
        episode_id=identity,
        source=row["source"],
        status=status,
        error=error,
        language=facts["language"] or row["language"],
        duration=row["duration"],
        speakers=facts["speakers"],
        text=facts["text"],
    )


def describe_state(report: BatchReport) -> str:
    """Return the state of a batch with the numbers of its episodes that are not zero."""
    counts = ", ".join(f"{number} {status}" for status, number in report.counts.items() if number)
    return f"{report.state}: {counts or 'no episodes'}"


def nothing_done(report: BatchReport) -> str | None:
    """Return one line if no episode of a batch is done and some failed, else None."""
    failed = [e for e in report.episodes if e.status == "failed"]
    if not failed or any(e.status == "done" for e in report.episodes):
        return None
    first = f"{failed[0].source}: {failed[0].error}"
    return f"no episode of batch {report.batch} is done: {len(failed)} failed; the first: {first}"


SHOWN_ALIKE = 5
"""Files that are named of those that failed or were skipped for the same reason; the others are counted."""


# -- terminal output --------------------------------------------------------------------------------------------------------


def show(report: BatchReport, store: Store, console: Console, *, segments: int = 10) -> None:
    """Print a report: episodes with their errors, one transcript, a few segments, and the paths of the files.

    Names, texts and errors are data: they are passed to rich as `Text`, which interprets neither markup nor emoji codes.
    """
    done = [e for e in report.episodes if e.status == "done"]
    console.print(_episodes_table(report))
    longest = max(done, key=lambda e: len(e.text), default=None)
    if longest is not None:
        from rich.markdown import Markdown  # slow to import: commands that print no transcript do without

        key = transcript_key(report.batch, longest.episode_id, "md")
        if store.exists(key):
            console.rule(Text(f"transcript of {longest.source}"))
            paragraphs = store.read(key).decode().split("\n\n")
            console.print(Markdown("\n\n".join(paragraphs[:_PARAGRAPHS])))
            if (left := len(paragraphs) - _PARAGRAPHS) > 0:
                console.print(Text(f"… and {count_noun(left, 'more turn')}, in {store.path(key)}"), soft_wrap=True)
    shards = store.read_table(table_key("hf_shards", report.batch), ASSETS["hf_shards"])
    if shards is not None and longest is not None:
        console.rule(Text(f"segments of {longest.source}"))
        console.print(_segments_table(shards.filter(episode_id=longest.episode_id).sort("start").head(segments)))
    console.rule("files")
    for name, path in (
        *report.tables.items(),
        ("transcripts to read", str(store.path(f"transcripts/{report.batch}"))),
        *((f"shard, {shard.samples} samples", shard.path) for shard in report.shards),
    ):
        console.print(Text(f"{name:<20} {path}"), soft_wrap=True)
    show_warnings(report.warnings, console)


def show_warnings(warnings: Sequence[BatchWarning], console: Console) -> None:
    """Print the summary of what deserves a look."""
    for number, line in enumerate(summary_lines(warnings)):
        console.print(Text(line, "" if number else "yellow"), soft_wrap=True)


def _episodes_table(report: BatchReport) -> Table:
    title = Text(f"batch {report.batch}: {report.segments} segments, {report.hours:.2f} h")
    table = Table(title=title, title_justify="left")
    for name in ("file", "status", "language", "seconds", "speakers", "words"):
        table.add_column(name, justify="right" if name in ("seconds", "speakers", "words") else "left")
    silent = {w.source for w in report.warnings if w.kind == "no_speech"}
    alike: Counter[tuple[str, str]] = Counter()
    for e in report.episodes:
        if e.status in ("failed", "skipped"):
            kind = (e.status, failure_reason(None, e.error, e.source))
            alike[kind] += 1
            if alike[kind] > SHOWN_ALIKE:
                continue
        note = e.error or ("no speech" if e.source in silent else "")
        status = Text.assemble((e.status, {"done": "green", "failed": "red"}.get(e.status, "")), f" {note}")
        duration = f"{e.duration:.1f}" if e.duration else ""
        table.add_row(
            Text(e.source),
            status,
            Text(e.language or ""),
            duration,
            str(e.speakers or ""),
            str(len(e.text.split()) or ""),
        )
    for (status, reason), count in alike.items():
        if count > SHOWN_ALIKE:
            table.add_row(Text(f"and {count - SHOWN_ALIKE:,} more"), Text(f"{status} {reason}"))
    return table


def _segments_table(rows: pl.DataFrame) -> Table:
    table = Table()
    for name in ("speaker", "start", "end", "text", "DNSMOS", "SNR dB", "keep"):
        table.add_column(name, justify="right" if name in ("start", "end", "DNSMOS", "SNR dB") else "left")
    for row in rows.iter_rows(named=True):
        table.add_row(
            Text(row["speaker"] or ""),
            f"{row['start']:.2f}",
            f"{row['end']:.2f}",
            Text(row["text"]),
            "" if row["dnsmos_ovrl"] is None else f"{row['dnsmos_ovrl']:.2f}",
            "" if row["snr_db"] is None else f"{row['snr_db']:.0f}",
            Text("yes" if row["keep"] else ", ".join(row["reject_reasons"])),
        )
    return table
