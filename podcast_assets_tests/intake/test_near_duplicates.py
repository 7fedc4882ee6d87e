"""Episodes of any batch that sound the same are told, by fingerprints that are made once."""

import io
import json
import sys
from pathlib import Path

import dagster as dg
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import encode
from podcast_assets.audio.working import WORKING_RATE, write_working_audio
from podcast_assets.cli.doctor import examine_near_duplicates
from podcast_assets.cli.main import main
from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets.raw_audio import raw_audio
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.partitions import BATCHES
from podcast_assets.intake.duplicates.near import MIN_SHARE, NearDuplicates, find_near_duplicates, read_pairs
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import FINGERPRINTS, NEAR_DUPLICATES
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.chromaprint import needs_chromaprint
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.miniature import BATCH

Samples = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def water() -> Samples:
    return decode(BATCH / "water-history.opus")


@pytest.fixture(scope="module")
def science() -> Samples:
    return decode(BATCH / "night-science.mp3")


def kept(store: Store, name: str, samples: Samples) -> str:
    """Key of working audio that holds some samples."""
    key = f"audio/working/{name[:2]}/{name}.flac"
    with store.writing(key) as file:
        write_working_audio([samples], file)
    return key


def again(samples: Samples) -> Samples:
    return decode(io.BytesIO(encode(samples, WORKING_RATE, "mp3", bit_rate=24_000)))


def told(found: NearDuplicates) -> list[tuple[str, str]]:
    return list(found.rows.select("episode_id", "other").iter_rows())


@needs_chromaprint
def test_what_sounds_the_same_is_found_in_all_batches(store: Store, water: Samples, science: Samples) -> None:
    first = {"water": kept(store, "a1", water), "science": kept(store, "a2", science)}
    assert told(find_near_duplicates(store, "one", first)) == []
    half = len(water) // 2
    longer = np.concatenate([again(water[:half]), science[: 10 * WORKING_RATE], again(water[half:])])
    second = {"again": kept(store, "b1", longer), "silent": kept(store, "b2", np.zeros(WORKING_RATE // 10, np.float32))}
    found = find_near_duplicates(store, "two", second)
    assert told(found) == [("again", "one/water")]
    row = found.rows.row(0, named=True)
    assert row["share"] == pytest.approx(len(water) / len(longer), abs=0.12)
    assert row["share_of_other"] > 0.85
    assert found.troubles == []
    # the batch that came first learns of it when it runs again; of the pair there is still one
    assert told(find_near_duplicates(store, "one", first)) == [("water", "two/again")]
    assert [(p["episode"], p["other"]) for p in read_pairs(store)[0]] == [("one/water", "two/again")]
    assert [p["other"] for p in read_pairs(store, ["two"])[0]] == ["two/again"]
    assert read_pairs(store, ["three"]) == ([], [])
    # in one batch too
    third = {"a": kept(store, "c1", again(science)), "b": kept(store, "c2", science[: 30 * WORKING_RATE])}
    assert {pair for pair in told(find_near_duplicates(store, "three", third)) if "three/" in pair[1]} == {
        ("a", "three/b"),
        ("b", "three/a"),
    }


@needs_chromaprint
def test_what_a_batch_no_longer_has_is_told_no_more(store: Store, water: Samples) -> None:
    find_near_duplicates(store, "one", {"water": kept(store, "a1", water)})
    second = {"again": kept(store, "b1", again(water))}
    assert told(find_near_duplicates(store, "two", second)) == [("again", "one/water")]
    find_near_duplicates(store, "one", {})
    assert read_pairs(store) == ([], [])
    assert told(find_near_duplicates(store, "two", second)) == []


@pytest.mark.parametrize("damaged", ["near_duplicates/two.parquet", "fingerprints/one.parquet"])
def test_a_table_that_cannot_be_read_is_reported(tmp_path: Path, damaged: str) -> None:
    store = Store.at(tmp_path)
    prints = [{"episode_id": "water", "working": "w", "anchors": [1], "positions": [1]}]
    store.write_table("fingerprints/one.parquet", make_table(prints, FINGERPRINTS))
    pair = {
        "episode_id": "again",
        "other": "one/water",
        "share": 0.9,
        "share_of_other": 0.9,
        "offset": 0.0,
        "seconds": 60.0,
    }
    store.write_table("near_duplicates/two.parquet", make_table([pair], NEAR_DUPLICATES))
    assert [p["other"] for p in read_pairs(store)[0]] == ["one/water"]
    store.write(damaged, store.read(damaged)[:-9])
    rows, (trouble,) = read_pairs(store)
    assert rows == []
    assert f"{damaged} is damaged" in trouble
    result = CliRunner().invoke(main, ["duplicates", "--store", str(tmp_path), "--json"])
    assert json.loads(result.stdout) == []
    assert "is damaged" in " ".join(result.stderr.split())


@needs_chromaprint
def test_the_same_bytes_are_left_to_those_who_know_them(tmp_path: Path, water: Samples) -> None:
    store = Store.at(tmp_path)
    working = kept(store, "a1", water)
    find_near_duplicates(store, "one", {"water": working})
    assert told(find_near_duplicates(store, "two", {"same": working})) == []


@needs_chromaprint
def test_what_cannot_be_read_is_told_and_the_rest_is_compared(tmp_path: Path, water: Samples, science: Samples) -> None:
    store = Store.at(tmp_path)
    first = {"water": kept(store, "a1", water), "science": kept(store, "a2", science)}
    find_near_duplicates(store, "one", first)
    for working in first.values():
        store.remove(working)
    assert find_near_duplicates(store, "one", first).troubles == [], "no fingerprint is made twice"
    find_near_duplicates(store, "broken", {"x": kept(store, "x1", again(science))})
    store.write("fingerprints/broken.parquet", b"PAR1 and nothing more")
    store.remove("audio/fingerprint/a2/a2.u32")
    store.write("audio/working/b3/b3.flac", b"no FLAC")
    found = find_near_duplicates(
        store,
        "two",
        {
            "again": kept(store, "b1", again(water)),
            "other": kept(store, "b2", again(science)),
            "damaged": "audio/working/b3/b3.flac",
            "gone": "audio/working/b4/b4.flac",
        },
    )
    assert told(found) == [("again", "one/water")]
    assert len(found.troubles) == 4
    for trouble, words in zip(
        sorted(found.troubles),
        (
            "fingerprints/broken.parquet is damaged",
            "one/science: its fingerprint is gone; materialize raw_audio of its batch again",
            "two: damaged: its working audio is not working audio that can be read",
            "two: gone: its working audio is gone",
        ),
        strict=True,
    ):
        assert words in trouble


def drop(store: Store, batch: str, name: str, data: bytes) -> None:
    store.write(f"incoming/{batch}/{name}", data)


def materialize(place: Place, instance: dg.DagsterInstance, batch: str) -> dg.ExecuteInProcessResult:
    settings = Settings(store=str(place.store.root), profile="embedded", near_duplicates=True)
    job = build_definitions(settings).resolve_implicit_global_asset_job_def()
    instance.add_dynamic_partitions(BATCHES, [batch])
    return job.execute_in_process(
        instance=instance, asset_selection=[raw_audio.key], partition_key=batch, raise_on_error=False
    )


@needs_chromaprint
def test_raw_audio_tells_of_them_and_a_command_lists_them(place: Place, water: Samples) -> None:
    drop(place.store, "one", "water.opus", (BATCH / "water-history.opus").read_bytes())
    drop(place.store, "one", "science.mp3", (BATCH / "night-science.mp3").read_bytes())
    drop(place.store, "two", "republished.mp3", encode(water, WORKING_RATE, "mp3", bit_rate=24_000))
    with dg.instance_for_test() as instance:
        (first,) = materialize(place, instance, "one").asset_materializations_for_node("raw_audio")
        assert first.metadata["episodes_with_near_duplicates"].value == 0
        (second,) = materialize(place, instance, "two").asset_materializations_for_node("raw_audio")
    assert second.metadata["episodes_with_near_duplicates"].value == 1
    preview = str(second.metadata["near_duplicates"].value)
    assert "| republished-" in preview
    assert "| one/water-" in preview
    assert "not_compared" not in second.metadata
    listed = place.command("duplicates", "--json")
    assert listed.returncode == 0, listed.stderr
    (pair,) = json.loads(listed.stdout)
    assert pair["episode"].startswith("two/republished-")
    assert pair["other"].startswith("one/water-")
    assert min(pair["share"], pair["share_of_other"]) > 0.9 > MIN_SHARE
    table = place.command("duplicates", "one")
    assert "two/republished-" in table.stdout
    assert "%" in table.stdout


def test_a_run_that_lacks_the_library_ends_before_it_begins(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(place.store, "one", "water.opus", (BATCH / "water-history.opus").read_bytes())
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    with dg.instance_for_test() as instance:
        result = materialize(place, instance, "one")
    assert not result.success
    (failure,) = result.filter_events(lambda e: e.is_step_failure)
    assert "pip install 'podcast-assets[near-duplicates]'" in str(failure.step_failure_data.error)
    assert not place.store.exists(table_key("raw_audio", "one"))


def test_where_they_are_not_wanted_nothing_is_looked_for(place: Place) -> None:
    empty = place.command("duplicates")
    assert empty.returncode == 0, empty.stderr
    assert "PODCAST_NEAR_DUPLICATES=true" in empty.stderr


def test_the_doctor_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromaprint", None)
    assert examine_near_duplicates(Settings()) == []
    (finding,) = examine_near_duplicates(Settings(near_duplicates=True))
    assert finding.blocks
    assert finding.todo == "pip install 'podcast-assets[near-duplicates]'"
