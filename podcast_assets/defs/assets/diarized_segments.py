"""Asset `diarized_segments`."""

from dataclasses import replace

import dagster as dg

from podcast_assets.common import plots
from podcast_assets.defs.assets.batches import (
    BatchResult,
    batch_asset,
    do_stage,
    materialize_batches,
    stage_result,
    upstream,
)
from podcast_assets.defs.assets.facts import picture, preview
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.checks.tables import below_speaker_cap, segments_in_order, speakers_known, speech_found
from podcast_assets.defs.resources import PipelineResource, StoreResource
from podcast_assets.speech.diarizer_choice import DIARIZER
from podcast_assets.speech.segmentation import PRESETS
from podcast_assets.stages.compute.choose import computing
from podcast_assets.stages.diarize import SPEAKER_TRACKS, Diarize
from podcast_assets.stages.engine_choices import diarizer_choice
from podcast_assets.stages.episode_overrides import apply_overrides, diarizer, speaker_bounds
from podcast_assets.stages.speech_input import by_episode, episodes
from podcast_assets.store.override_records import OVERRIDE_RECORDS


@batch_asset(
    deps=[raw_audio],
    group="speech",
    kinds={"parquet", "polars"},
    stages=[Diarize],
    code_version=Diarize.version,
)
def diarized_segments(
    context: dg.AssetExecutionContext, store: StoreResource, pipeline: PipelineResource
) -> dg.MaterializeResult:
    """One row per segment, a stretch of speech by one speaker: its speaker label, and its start and end in seconds."""
    opened_store, settings, profile = store.get(), pipeline.settings(), pipeline.selected_profile()
    preset = PRESETS[settings.segmentation]
    choice = diarizer_choice(settings, profile)
    known = {choice.usual.name, *(engine.name for engine in choice.others)}
    any_batch = Diarize(opened_store, choice, preset)

    def work(batch: str) -> BatchResult:
        stage = replace(any_batch, batch=batch)
        audio = upstream(opened_store, "raw_audio", batch).rows
        todo = episodes(
            apply_overrides(audio, OVERRIDE_RECORDS.read_batch(opened_store, batch)),
            lambda row: {
                **speaker_bounds(row["metadata"], settings),
                "segmentation": preset.model_dump(),
                # only where there is one: other episodes are not diarized again
                **({DIARIZER: named} if (named := diarizer(row["metadata"], known)) else {}),
                **(
                    {SPEAKER_TRACKS: row["downmix"]["tracks"], "original": row["original"]}
                    if row["tracks"] == "speakers"
                    else {}
                ),
            },
        )
        run = do_stage(context, settings, stage, batch, todo, opened_store, compute)
        rows = run.table()
        committed = run.commit(opened_store, rows)
        segments = by_episode(rows)
        found = {
            e.source: segments[e.episode_id]["speaker"].drop_nulls().n_unique()
            for e in todo
            if e.episode_id in segments
        }
        shown = [(e.source, segments[e.episode_id].to_dicts()) for e in todo if e.episode_id in segments][:20]
        return stage_result(
            opened_store,
            run,
            committed,
            expected=audio.filter(status="done")["episode_id"],
            metadata={
                "profile": profile.name,
                "engine": choice.usual.name,
                "hours_of_speech": round(float(rows["duration"].sum()) / 3600, 4),
                "speakers": ", ".join(f"{name}: {n}" for name, n in found.items()),
                "who_speaks_when": picture(plots.draw_timeline(shown), "who speaks when"),
                "segments": preview(rows, ["segment_id", "start", "end", "speaker"]),
            },
            verdicts={
                "times_in_order": segments_in_order(rows, audio),
                "speech_found": speech_found(
                    {e.episode_id: e.source for e in todo if e.episode_id in committed.fingerprints}, segments
                ),
                "speakers_known": speakers_known(rows),
                "below_speaker_cap": below_speaker_cap(
                    {
                        e.source: found[e.source]
                        for e in todo
                        if e.source in found and not {SPEAKER_TRACKS, DIARIZER} & e.inputs.keys()
                    },
                    choice.usual.speaker_cap,
                ),
            },
        )

    with computing(any_batch, settings) as compute:
        return materialize_batches(context, store, work)
