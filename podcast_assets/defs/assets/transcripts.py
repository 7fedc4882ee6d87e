"""Asset `transcripts`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from podcast_assets import transcripts as transcript
from podcast_assets.common import plots
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.batches import (
    BatchResult,
    batch_asset,
    do_stage,
    materialize_batches,
    stage_result,
    upstream,
)
from podcast_assets.defs.assets.diarized_segments import diarized_segments
from podcast_assets.defs.assets.facts import counts, picture, preview
from podcast_assets.defs.checks.tables import languages_agree, not_degraded, words_in_order
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.speech.languages.text import TextLanguageIdentifier, add_text_language
from podcast_assets.speech.routing import TRANSCRIBER
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.engine_choices import transcriber_choice
from podcast_assets.stages.episode_names import name_tracks
from podcast_assets.stages.episode_overrides import apply_overrides, hints
from podcast_assets.stages.speech_input import SPEECH_COLUMNS, by_episode, episodes
from podcast_assets.stages.stage import Episode
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.override_records import OVERRIDE_RECORDS
from podcast_assets.store.schema import SEGMENTS, empty_table, schema
from podcast_assets.store.store import Store, transcript_key


@batch_asset(
    deps=[diarized_segments],
    group="speech",
    kinds={"parquet", "polars"},
    stages=[Transcribe],
    code_version=Transcribe.version,
)
def transcripts(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per segment: its text, its words with timestamps, its language, and the confidence of the recognizer.

    The transcript of every episode is also written as Markdown, JSON, SRT, VTT, TXT and RTTM.
    """
    opened_store, settings, profile = store.get(), pipeline.settings(), pipeline.selected_profile()
    overrides = {batch: OVERRIDE_RECORDS.read_batch(opened_store, batch) for batch in context.partition_keys}
    chosen = [record["transcriber"] for records in overrides.values() for record in records.values()]
    stage = Transcribe(opened_store, transcriber_choice(settings, profile, filter(None, chosen)))
    named = settings.text_language_model
    identifier = TextLanguageIdentifier(Path(named).expanduser() if named else None, settings.text_language_certain)
    identifier.check()

    def work(batch: str) -> BatchResult:
        audio, diarized = (
            upstream(opened_store, "raw_audio", batch).rows,
            upstream(opened_store, "diarized_segments", batch),
        )
        segments = diarized.rows
        todo = episodes_to_transcribe(audio, diarized, settings, overrides[batch])
        run = do_stage(context, settings, stage, batch, todo, opened_store, compute)
        rows = add_text_language(run.table(), identifier)
        files = write_transcripts(opened_store, batch, audio, segments, rows, list(run.done), profile.note)
        committed = run.commit(opened_store, rows)
        words = rows.select(pl.col("words").list.len().sum()).item() or 0
        return stage_result(
            opened_store,
            run,
            committed,
            expected=diarized.fingerprints,
            metadata={
                "profile": profile.name,
                "engines": counts({str(k): v for k, v in rows["engine"].value_counts().iter_rows()}),
                "flags": counts(
                    dict(rows["flags"].explode(empty_as_null=False).drop_nulls().value_counts().iter_rows())
                ),
                "redone": counts(
                    dict(rows["redone"].explode(empty_as_null=False).drop_nulls().value_counts().iter_rows())
                ),
                "uncovered_speech_seconds": round(float(rows["uncovered_speech"].sum()), 1),
                "words": int(words),
                "empty_segments": rows.filter(pl.col("text") == "").height,
                "text_language_by": identifier.label,
                "languages": counts({str(k): v for k, v in rows["language"].value_counts().iter_rows()}),
                "transcript_files": files,
                "transcripts": dg.MetadataValue.path(str(opened_store.path(f"transcripts/{batch}"))),
                "segments": preview(rows, ["segment_id", "language", "avg_logprob", "flags"]),
                "confidence": picture(
                    plots.draw_histograms(
                        [("avg_logprob", rows["avg_logprob"].drop_nulls().to_list())], label="mean log probability"
                    ),
                    "confidence of the recognizer",
                ),
            },
            verdicts={
                "times_in_order": words_in_order(rows, segments),
                "not_degraded": not_degraded(rows),
                "languages_agree": languages_agree(rows, segments),
            },
        )

    with computing(stage, settings) as compute:
        return materialize_batches(context, store, work)


def episodes_to_transcribe(
    audio: pl.DataFrame, diarized: CommittedTable, settings: Settings, overrides: Mapping[str, Mapping[str, Any]]
) -> list[Episode]:
    """Return the work items of the diarized episodes: their segments, language and hints, and their transcriber if one was chosen.

    Args:
        audio: rows of `raw_audio`.
        diarized: table of `diarized_segments`.
        settings: settings of the run.
        overrides: episode → override record.
    """
    spoken = by_episode(diarized.rows.select("episode_id", *SPEECH_COLUMNS))
    nothing = empty_table(SEGMENTS).select("episode_id", *SPEECH_COLUMNS)
    chosen = {episode: record["transcriber"] for episode, record in overrides.items() if record["transcriber"]}
    return episodes(
        apply_overrides(audio, overrides).filter(pl.col("episode_id").is_in(list(diarized.fingerprints))),
        lambda row: {
            "language": row["language"] or settings.language,
            "hints": hints(row["metadata"], settings),
            "segments": spoken.get(row["episode_id"], nothing),
            # only where there is one: other episodes are not transcribed again
            **({TRANSCRIBER: chosen[row["episode_id"]]} if row["episode_id"] in chosen else {}),
        },
    )


def write_transcripts(
    store: Store,
    batch: str,
    raw_audio: pl.DataFrame,
    segments: pl.DataFrame,
    rows: pl.DataFrame,
    done: list[str],
    note: str | None,
) -> int:
    """Write the transcript of every finished episode in every format, and return the number of files."""
    columns = [c for c in schema(SEGMENTS).names() if c not in rows.columns]
    spoken_rows = rows.join(segments.select("segment_id", *columns), on="segment_id", how="left", maintain_order="left")
    texts = by_episode(spoken_rows)
    store.write_all(
        (transcript_key(batch, episode["episode_id"], suffix), content.encode())
        for episode in name_tracks(raw_audio.filter(pl.col("episode_id").is_in(done))).iter_rows(named=True)
        for suffix, content in transcript.render(
            episode, texts[episode["episode_id"]].to_dicts() if episode["episode_id"] in texts else [], note=note
        ).items()
    )
    written = {f"{episode}.{suffix}" for episode in done for suffix in transcript.FORMATS}
    for name in store.names(f"transcripts/{batch}").difference(written) if done else ():
        store.remove(f"transcripts/{batch}/{name}")  # of an episode that was removed from the batch, or now fails
    return len(written)
