"""Files with several audio tracks: what is taken of them, by the settings and by the metadata."""

import io
import json
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, cast

import av
import dagster as dg
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from av.audio.stream import AudioStream

from podcast_assets.audio.cut import cut_segments
from podcast_assets.audio.decode import decode
from podcast_assets.audio.downmix import Downmix
from podcast_assets.audio.encode import encode
from podcast_assets.audio.tracks import AudioTracks, Track
from podcast_assets.audio.working import read_working_audio
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.assets.transcripts import write_transcripts
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.engines.engine import Engine
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episodes import Recording, batch_rows, recordings
from podcast_assets.intake.feeds.subscriptions import Subscriptions
from podcast_assets.intake.track_choice import TrackChoice, apply_choice, parse_choice
from podcast_assets.intake.unpack import SourceFile, read_batch_metadata, unpack
from podcast_assets.rights.clearance import Reason, decide_clearance
from podcast_assets.rights.licences import LicenceRules
from podcast_assets.rights.takedown_target import copies_of, find_target
from podcast_assets.speech.segmentation import PRESETS
from podcast_assets.stages.choose_tracks import choose_tracks
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.diarize import SPEAKER_TRACKS, Diarize
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.stages.report import batch_report
from podcast_assets.stages.runner import run_stage
from podcast_assets.stages.speech_input import episodes
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import RAW_AUDIO, SEGMENTS, TRANSCRIPTS, empty_table, make_table
from podcast_assets.store.schema_beside import RIGHTS, TAKEDOWNS
from podcast_assets.store.store import Store, StoredOriginal, table_key, transcript_key
from podcast_assets_tests import miniature
from podcast_assets_tests.audio.spliced import found_at

RATE = 24_000
TURN = 4 * RATE
Sound = npt.NDArray[np.float32]


@cache
def conversation() -> tuple[Sound, Sound]:
    """Host and guest take turns of 4 s, and each microphone hears the other person 25 dB lower."""
    voices = [
        decode(miniature.BATCH / name, rate=RATE)[: 4 * TURN] for name in ("night-science.mp3", "water-history.opus")
    ]
    host = np.arange(4 * TURN) // TURN % 2 == 0
    own = [voices[0] * host, voices[1] * ~host]
    return tuple((own[i] + 10 ** (-25 / 20) * own[1 - i]).astype(np.float32) for i in (0, 1))  # type: ignore[return-value]


def container(
    tracks: list[tuple[Sound, dict[str, str]]],
    form: str = "mp4",
    codec: str = "aac",
    starts: tuple[float, ...] = (0, 0),
) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as out:
        streams = []
        for _, about in tracks:
            stream = cast(AudioStream, out.add_stream(codec, rate=RATE, layout="mono"))
            stream.bit_rate = 64_000
            stream.metadata.update(about)
            streams.append(stream)
        for stream, (samples, _), start in zip(streams, tracks, starts, strict=True):
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, round(start * RATE), Fraction(1, RATE)
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return buffer.getvalue()


@cache
def interview(form: str = "mp4", codec: str = "aac") -> bytes:
    host, guest = conversation()
    return container(
        [(host, {"language": "eng"}), (guest, {"language": "deu", "handler_name": "The guest"})], form, codec
    )


LATE = 5


@cache
def late_guest(form: str = "mp4", codec: str = "aac") -> bytes:
    """The interview, in which the guest's track begins after `LATE` seconds."""
    host, guest = conversation()
    return container([(host, {}), (guest[LATE * RATE :], {})], form, codec, (0, LATE))


def materialized(store: Store, tracks: TrackChoice = "first") -> dict[str, dict[str, Any]]:
    """Rows of the batch by id, as the asset makes them, with the number of episodes taken from the last run."""
    unpacked = unpack(store, find_arrival(store, "b"))
    joined = read_batch_metadata(unpacked)
    before = CommittedTable.read(store, "raw_audio", "b")
    found = choose_tracks(store, recordings(unpacked.files), joined, tracks, before)
    todo = [
        ingest_episode(r.episode_id, r.shown, r.file.stored.sha256, r.file.stored.key, tracks=r.tracks) for r in found
    ]
    stage = Ingest(store)
    run = run_stage(stage, "b", todo, store, Local(stage, 1), committed=before)
    assert run.failures.is_empty(), run.failures["message"].to_list()
    rows = batch_rows(unpacked, found, joined, run.table(), run.failures)
    run.commit(store, rows)
    return {row["episode_id"]: row | {"reused": len(todo) - run.ran} for row in rows.filter(status="done").to_dicts()}


def level(store: Store, row: dict[str, Any], turn: int) -> float:
    """Level of a turn of four seconds in the working audio, dBFS."""
    samples = read_working_audio(store.path(row["working"]).read_bytes()) / 32768
    part = samples[turn * 64_000 + 8_000 : (turn + 1) * 64_000 - 8_000]
    return float(10 * np.log10(np.mean(np.square(part))))


def test_each_choice_takes_what_it_says_and_redoes_only_files_with_several_tracks(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/b/talk.mp4", interview())
    store.write("incoming/b/alone.flac", encode(conversation()[0][:TURN], RATE))
    first = materialized(store)
    talk, alone = sorted(e for e in first if e.startswith("talk")), next(e for e in first if e.startswith("alone"))
    (own,) = talk
    (warning,) = first[own]["warnings"]
    assert warning["kind"] == "tracks_left_out"
    assert "track 2 (deu, “The guest”)" in warning["message"]
    assert first[own]["tracks"] is None and first[alone]["warnings"] == []
    assert level(store, first[own], 0) > level(store, first[own], 1) + 12, "the guest is left out"

    mix = materialized(store, "mix")
    assert mix.keys() == first.keys()
    assert (mix[own]["tracks"], mix[own]["downmix"]["tracks"], mix[own]["warnings"]) == ("mix", [1, 2], [])
    assert abs(level(store, mix[own], 0) - level(store, first[own], 0)) < 1
    assert abs(level(store, mix[own], 1) - level(store, mix[own], 0)) < 10, "the guest is as loud"
    assert mix[alone]["reused"] == 1

    apart = materialized(store, "episodes")
    assert apart.keys() == {alone, own, f"{own}-track2"}
    guest = apart[f"{own}-track2"]
    assert (guest["source"], guest["sha256"]) == ("talk.mp4", apart[own]["sha256"])
    assert level(store, guest, 1) > level(store, guest, 0) + 12
    assert apart[own]["warnings"] == guest["warnings"] == []
    shown = {e.episode_id: e.source for e in batch_report(store, "b", {}).episodes}
    assert shown == {alone: "alone.flac", own: "talk.mp4 (track 1)", f"{own}-track2": "talk.mp4 (track 2)"}
    assert apart[alone]["reused"] == 1
    table = store.read_table(table_key("raw_audio", "b"), RAW_AUDIO)
    assert table is not None
    write_transcripts(store, "b", table, empty_table(SEGMENTS), empty_table(TRANSCRIPTS), list(apart), None)
    for episode, name in shown.items():
        assert store.read(transcript_key("b", episode, "md")).decode().startswith(f"# {name}\n")

    speakers = materialized(store, "speakers")
    assert speakers.keys() == first.keys()
    assert speakers[own]["working"] == mix[own]["working"]
    assert materialized(store, "speakers")[own]["reused"] == 2
    assert materialized(store)[own] | {"reused": 0} == first[own] | {"reused": 0}


def test_metadata_choose_for_each_file(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/b/one.mp4", interview())
    store.write("incoming/b/two.mka", interview("matroska", "aac"))
    lines = [{"meta_id": "one", "tracks": "Mix"}, {"meta_id": "two", "tracks": "both"}]
    store.write("incoming/b/m.jsonl", "\n".join(map(json.dumps, lines)).encode())
    definitions = build_definitions(Settings(store=str(store.root)))
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(BATCHES, ["b"])
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[raw_audio.key], partition_key="b"
        )
    assert [c.check_name for c in result.get_asset_check_evaluations() if not c.passed] == ["no_warnings"]
    table = store.read_table(table_key("raw_audio", "b"), RAW_AUDIO)
    assert table is not None
    rows = {row["source"]: row for row in table.to_dicts()}
    assert (rows["one.mp4"]["tracks"], rows["one.mp4"]["warnings"]) == ("mix", [])
    assert rows["two.mka"]["tracks"] is None
    unknown, left = sorted(rows["two.mka"]["warnings"], key=lambda w: w["kind"], reverse=True)
    assert "'both', which is none of first, mix, episodes, speakers" in unknown["message"]
    assert left["kind"] == "tracks_left_out"


class Unasked(Engine):
    """A diarizer that must not be needed."""

    name: ClassVar[str] = "unasked"

    def load(self, device: str | None = None) -> Any:
        return self

    def diarize(self, audio: Any, **bounds: Any) -> Any:
        raise AssertionError("who speaks is known")


@pytest.mark.parametrize("data", [interview, late_guest])
def test_the_speaker_of_a_segment_is_its_track(tmp_path: Path, data: Callable[[], bytes]) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/b/talk.mp4", data())
    rows = pl.DataFrame(list(materialized(store, "speakers").values())).drop("reused")
    stage = Diarize(store, Unasked(), PRESETS["asr"], "b")
    bounds = {"min_speakers": None, "max_speakers": None}
    (episode,) = episodes(rows, lambda row: {**bounds, SPEAKER_TRACKS: [1, 2], "original": row["original"]})
    result = stage._process(stage.engine.load(), episode, stage.prepare(episode))
    assert isinstance(result.rows, pl.DataFrame)
    assert result.rows["engine"].unique().to_list() == ["tracks"]
    spoken = result.rows.with_columns(turn=((pl.col("start") + pl.col("end")) / 2 // 4).cast(pl.Int64))
    assert set(spoken.select("turn", "speaker").iter_rows()) == {
        (0, "SPEAKER_00"), (1, "SPEAKER_01"), (2, "SPEAKER_00"), (3, "SPEAKER_01"),
    }  # fmt: skip
    assert max(spoken["overlap"]) < 0.1


# -- choices, without audio ------------------------------------------------------------------------------------------


def recording() -> Recording:
    return Recording("talk-1", SourceFile("talk.mkv", StoredOriginal("k", "s", "m", 1)), None)


def test_the_best_track_keeps_the_id_and_tracks_without_a_decoder_are_named() -> None:
    found = AudioTracks(
        2, (Track(1, None, None, None), Track(2, None, None, None), Track(3, "fra", None, None, can_be_decoded=False))
    )
    own, other = apply_choice(recording(), "episodes", found)
    assert [(r.episode_id, r.tracks) for r in (own, other)] == [("talk-1", (2,)), ("talk-1-track1", (1,))]
    (warning,) = own.warnings
    assert "track 3 (fra)" in warning.message
    (mixed,) = apply_choice(recording(), "mix", found)
    assert mixed.tracks == (1, 2)
    assert apply_choice(recording(), "mix", AudioTracks(1, found.tracks[:1])) == [recording()]
    assert apply_choice(recording(), "first", found) == [recording()]


@pytest.mark.parametrize(
    ("value", "choice", "warned"),
    [
        (" Speakers ", "speakers", False),
        (None, "mix", False),
        ("", "mix", False),
        (float("nan"), "mix", False),
        (2, "mix", True),
    ],
)
def test_values_of_the_column_tracks(value: object, choice: str, warned: bool) -> None:
    found, warning = parse_choice(value, "mix")
    assert (found, warning is not None) == (choice, warned)


# -- what the tracks of a file share ---------------------------------------------------------------------------------


def tracks_in_the_store() -> pl.DataFrame:
    def row(batch: str, identity: str, tracks: str | None) -> dict[str, Any]:
        about = {"episode_id": identity, "source": "talk.mp4", "status": "done", "sha256": "same", "duration": 60.0}
        metadata = json.dumps({"url": "https://x.example/talk.mp4"})
        return (
            {"batch": batch}
            | dict.fromkeys(RAW_AUDIO)
            | about
            | {"tracks": tracks, "license": "CC0-1.0", "metadata": metadata}
        )

    rows = [row("a", "talk", "episodes"), row("a", "talk-track2", "episodes"), row("b", "talk", None)]
    return pl.DataFrame(rows, schema={"batch": pl.String, **{k: t for k, (t, _) in RAW_AUDIO.items()}})


def test_the_tracks_of_a_file_are_no_copies_of_each_other() -> None:
    ledger, takedowns = make_table([], RIGHTS), make_table([], TAKEDOWNS)
    found = decide_clearance(tracks_in_the_store(), ledger, takedowns, LicenceRules.of("cc0"))
    assert found.select("batch", "episode_id", "reason").rows() == [
        ("a", "talk", None),
        ("a", "talk-track2", None),
        ("b", "talk", Reason.DUPLICATE),
    ]


@pytest.mark.parametrize("name", ["talk-track2", "talk.mp4", "https://x.example/talk.mp4"])
def test_a_takedown_of_one_takes_all_tracks_of_the_file(name: str) -> None:
    known = tracks_in_the_store()
    target = find_target(name, known, make_table([], RIGHTS), Subscriptions(), [])
    assert copies_of(known, target).height == 3


def test_the_ledger_speaks_of_the_file() -> None:
    said = dict.fromkeys(RIGHTS) | {"episode_id": "talk", "blocked": True, "taken": True}
    found = decide_clearance(
        tracks_in_the_store(), make_table([said], RIGHTS), make_table([], TAKEDOWNS), LicenceRules.of("cc0")
    )
    assert set(found["reason"]) == {Reason.BLOCKED}


# -- mixing ----------------------------------------------------------------------------------------------------------


def test_tracks_of_other_rates_and_lengths_are_added_up() -> None:
    host, guest = conversation()
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        streams = [cast(AudioStream, out.add_stream("aac", rate=rate, layout="mono")) for rate in (RATE, 48_000)]
        for stream, samples, rate in zip(streams, (host, guest[:TURN]), (RATE, 48_000), strict=True):
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate = RATE
            for part in av.AudioResampler("fltp", "mono", rate).resample(frame):
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
    data = buffer.getvalue()
    mixed = decode(data, rate=RATE, downmix=Downmix((1, 2)))
    long, short = (decode(data, rate=RATE, downmix=Downmix((number,))) for number in (1, 2))
    assert len(mixed) == len(long) > len(short) + TURN
    np.testing.assert_allclose(mixed, long + np.pad(short, (0, len(long) - len(short))), atol=2e-3)
    (segment,) = cut_segments(data, [(1.0, 2.0)], downmix=Downmix((1, 2)))
    np.testing.assert_allclose(segment, mixed[RATE : 2 * RATE], atol=1e-3)


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
def test_a_track_that_begins_later_is_mixed_at_its_time(form: str) -> None:
    host, guest = conversation()
    data = late_guest(form)
    mixed = decode(data, rate=RATE, downmix=Downmix((1, 2)))
    assert len(mixed) == pytest.approx(len(host), abs=0.1 * RATE)
    for track, at in ((host, 1.0), (guest, 6.0), (host, 9.0), (guest, 13.0)):
        assert found_at(mixed, track[round(at * RATE) : round((at + 0.5) * RATE)], RATE) == pytest.approx(at, abs=0.005)
    (segment,) = cut_segments(data, [(5.5, 7.5)], downmix=Downmix((2,)))
    assert found_at(segment, guest[6 * RATE : round(6.5 * RATE)], RATE) == pytest.approx(0.5, abs=0.005)


def test_what_a_track_leaves_out_is_silent_in_the_mix_and_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(interview("matroska", "flac")), "r") as source,
        av.open(buffer, "w", format="matroska") as out,
    ):
        copies = [out.add_stream_from_template(track) for track in source.streams.audio]
        for packet in source.demux():
            if packet.size and not (packet.stream.index == 1 and 4.5 <= float(packet.pts * packet.time_base) < 7):  # type: ignore[operator]
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    store = Store.at(tmp_path)
    store.write("incoming/b/talk.mkv", buffer.getvalue())
    (row,) = materialized(store, "mix").values()
    assert row["gap_seconds"] == pytest.approx(2.5, abs=0.2)
    (warning,) = row["warnings"]
    assert warning["kind"] == "gaps_filled"
    assert warning["message"].startswith("track 2: silence fills a gap")
    assert level(store, row, 3) > level(store, row, 1) + 2, "the guest speaks less in the second turn"
    host, guest = conversation()
    mixed = decode(buffer.getvalue(), rate=RATE, downmix=Downmix((1, 2)))
    np.testing.assert_allclose(mixed[-TURN:], (host + guest)[-TURN:], atol=2e-3)


def test_later_stages_depend_on_the_clock_only_where_it_changes_the_audio(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    store.write("incoming/b/late.mp4", container([(conversation()[0], {})] * 2, starts=(1.5, 0)))
    store.write("incoming/b/plain.m4a", container([(conversation()[0], {})], starts=(0,)))
    store.write("incoming/b/plain.mp3", encode(conversation()[0], RATE, "mp3"))
    materialized(store)
    rows = CommittedTable.read(store, "raw_audio", "b").rows
    assert dict(rows.select("source", "retimed").iter_rows()) == {
        "late.mp4": True, "plain.m4a": False, "plain.mp3": False,
    }  # fmt: skip
    inputs = {e.source: e.inputs for e in episodes(rows, lambda row: {})}
    assert [s for s, given in inputs.items() if "retimed" in given] == ["late.mp4"]
    assert inputs["plain.mp3"].keys() == {"sha256", "working"}
