"""What a takedown finds beside the tables: copies that sound the same, archives inside folders, what lies in a bucket."""

import datetime
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.duplicates.exact import holders_key, register_content
from podcast_assets.rights.takedown import TakedownRequest, TakedownResult, take_down
from podcast_assets.speech import voices
from podcast_assets.speech.linking import LINKED
from podcast_assets.stages.statistics.refresh import refresh_statistics
from podcast_assets.store.schema import RAW_AUDIO, make_table
from podcast_assets.store.schema_beside import FINGERPRINTS, NEAR_DUPLICATES
from podcast_assets.store.statistics_table import read_statistics, read_totals
from podcast_assets.store.store import Store, table_key
from podcast_assets.store.takedown_records import Refusals, read_records
from podcast_assets_tests import conftest
from podcast_assets_tests.waiting import wait_for

store = conftest.store  # in a bucket too
A, B, C = ("a" * 64, "b" * 64, "c" * 64)
URL = "https://cdn.example/1.mp3?key=hunter2"


def row(identity: str, sha256: str, source: str, **values: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(RAW_AUDIO)
        | {"episode_id": identity, "source": source, "sha256": sha256, "status": "done"}
        | values
    )


def commit(store: Store, batch: str, *rows: dict[str, Any]) -> None:
    store.write_table(table_key("raw_audio", batch), make_table(list(rows), RAW_AUDIO))


def down(store: Store, name: str, **changes: Any) -> TakedownResult:
    order = TakedownRequest(name, "the host asked", None, datetime.datetime.now(datetime.UTC))
    return take_down(store, order, shard_bytes=1 << 30, **changes)


def keys(store: Store) -> set[str]:
    return {e.key for e in store.list("") if not e.key.startswith(("takedowns/", "scratch/"))}


def test_what_lies_beside_the_tables_goes_from_every_store(store: Store) -> None:
    metadata = json.dumps({"url": URL})
    commit(store, "one", row("e1", A, "1.mp3", metadata=metadata, earlier_sha256=[B]), row("e2", C, "2.mp3"))
    commit(store, "two", row("e9", B, "9.mp3"))
    register_content(store, "one", {A: "e1", C: "e2"})
    register_content(store, "two", {B: "e9"})
    key = url_key(URL)
    own = [
        *(f"audio/{kind}/{s[:2]}/{s}.x" for s in (A, B) for kind in ("original", "working", "fingerprint")),
        f"audio/opus/{A[:2]}/{A}-abc-24000.opus",
        f"downloads/{key[:2]}/{key}/one.json",
        "transcripts/one/e1.md",
        "diarization/one/e1.rttm",
        "references/one/e1.en.vtt",
        f"checkpoints/score/one/e1-{'0' * 32}.parquet",
        "transcripts/two/e9.json",
    ]
    others = [
        f"audio/original/{C[:2]}/{C}.x",
        "transcripts/one/e2.md",
        "transcripts/two/e1.md",
        "downloads/aa/bb/one.json",
    ]
    for name in (*own, *others):
        store.write(name, b"x")
    outcome = down(store, "e1")
    assert outcome.batches == ["one", "two"], "what the URL gave before is in another batch"
    left = keys(store)
    assert not left & set(own)
    assert set(others) <= left
    assert not store.names(holders_key(A))
    assert store.names(holders_key(C)) == {"one+e2"}
    found = store.read_table(table_key("raw_audio", "one"), RAW_AUDIO)
    assert found is not None
    assert dict(found.select("episode_id", "status").iter_rows()) == {"e1": "skipped", "e2": "done"}
    (record,) = read_records(store).iter_rows(named=True)
    assert record["url_keys"] == [key]
    assert "hunter2" not in json.dumps(record, default=str)


def test_what_sounds_the_same_is_told_and_left(store: Store) -> None:
    commit(store, "one", row("e1", A, "1.mp3"))
    commit(store, "two", row("e2", B, "2.mp3"), row("e3", C, "3.mp3"))
    pair = {"share": 0.9, "share_of_other": 0.9, "offset": 0.0, "seconds": 60.0}
    prints = [{"episode_id": e, "working": "w", "anchors": [1], "positions": [1]} for e in ("e2", "e3")]
    store.write_table("fingerprints/two.parquet", make_table(prints, FINGERPRINTS))
    store.write_table(
        "near_duplicates/two.parquet",
        make_table([{"episode_id": "e2", "other": o} | pair for o in ("one/e1", "two/e3")], NEAR_DUPLICATES),
    )
    heard = {"podcast": "p", "speaker": "S", "voice": "voice-1", "confidence": 0.9}
    spoken = [heard | {"batch": b, "episode_id": e} for b, e in (("one", "e1"), ("two", "e2"), ("two", "e3"))]
    voices.write_links(store, make_table([dict.fromkeys(LINKED) | one for one in spoken], LINKED))
    assert down(store, "e1", dry_run=True).sound_the_same == ["two/e2"]
    assert down(store, "e1").sound_the_same == ["two/e2"]
    left = store.read_table("near_duplicates/two.parquet", NEAR_DUPLICATES)
    assert left is not None
    assert left["other"].to_list() == ["two/e3"]
    assert down(store, "two/e2").batches == ["two"]
    prints_left = store.read_table("fingerprints/two.parquet", FINGERPRINTS)
    assert prints_left is not None
    assert prints_left["episode_id"].to_list() == ["e3"]
    voices_left = store.read_table(voices.KEY, LINKED)
    assert voices_left is not None
    assert voices_left["episode_id"].to_list() == ["e3"]


def test_no_name_of_it_stays_in_the_statistics(store: Store) -> None:
    commit(store, "one", row("e1", A, "1.mp3") | {"podcast": "Secret Tea"})
    commit(store, "two", row("e2", B, "2.mp3") | {"podcast": "Open Coffee"})
    refresh_statistics(store)
    down(store, "e1", dry_run=True)
    assert read_statistics(store).versions.keys() == {"one", "two"}
    down(store, "e1")
    assert set(read_statistics(store).rows["podcast"].drop_nulls()) == {"Open Coffee"}
    assert not read_totals(store).versions


DERIVED = {"fingerprints/one.parquet": FINGERPRINTS, "near_duplicates/two.parquet": NEAR_DUPLICATES, voices.KEY: LINKED}


@pytest.mark.parametrize("key", DERIVED)
@pytest.mark.parametrize("damaged", [True, False], ids=["damaged", "other columns"])
def test_an_unreadable_derived_table_is_removed_as_a_whole(tmp_path: Path, key: str, damaged: bool) -> None:
    store = Store.at(tmp_path)
    commit(store, "one", row("e1", A, "1.mp3"), row("e2", B, "2.mp3"))
    for name, columns in DERIVED.items():
        store.write_table(name, make_table([], columns))
    store.write_table(key, pl.DataFrame({"episode_id": ["e1"], "text": ["what was said"]}))
    if damaged:
        store.write(key, store.read(key)[:-9])
    assert down(store, "e1", dry_run=True).purged.counts[f"{key.split('/')[0]}/"] == 1
    assert store.exists(key), "a dry run removes nothing"
    outcome = down(store, "e1")
    assert outcome.record["finished_at"]
    assert {name for name in DERIVED if store.exists(name)} == DERIVED.keys() - {key}


@pytest.mark.parametrize(
    ("source", "gone", "remains"),
    [
        ("1.mp3", ["incoming/one/1.mp3"], []),
        ("deep/1.mp3", ["incoming/one/deep/1.mp3"], []),
        ("deep/box.tar/1.mp3", [], ["incoming/one/deep/box.tar"]),
    ],
)
def test_files_of_its_own_go_and_archives_are_told(
    store: Store, source: str, gone: list[str], remains: list[str]
) -> None:
    commit(store, "one", row("e1", A, source))
    for name in ("1.mp3", "deep/1.mp3", "deep/box.tar", "metadata.csv"):
        store.write(f"incoming/one/{name}", b"x")
    before = keys(store)
    outcome = down(store, "e1")
    assert before - keys(store) == set(gone)
    assert sorted(outcome.purged.remains) == remains
    assert read_records(store)["remains"].to_list() == [remains]


def test_a_batch_that_a_run_has_is_waited_for_and_refused_from_then_on(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    commit(store, "one", row("e1", A, "1.mp3"))

    def status() -> list[str]:
        found = store.read_table(table_key("raw_audio", "one"), RAW_AUDIO)
        assert found is not None
        return found["status"].to_list()

    with ThreadPoolExecutor(1) as pool:
        with store.batch_lock("one"):
            ordered = pool.submit(down, store, "e1")
            wait_for("the record", lambda: read_records(store).height, patience=600, every=0.01)
            assert Refusals.of(store).why(episode_id="e1"), "it is refused before anything is removed"
            assert status() == ["done"]
            assert not ordered.done()
        ordered.result(timeout=600)
    assert status() == ["skipped"]
