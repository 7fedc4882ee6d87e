"""Statistics: what is counted of a batch, and that only changed batches are read again."""

import datetime
import errno
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.common.errors import StoreTrouble
from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.rights.discard import discard, undo_discard
from podcast_assets.stages.failure_reasons import LONGEST_REASON, failure_reason
from podcast_assets.stages.overview import batch_rows
from podcast_assets.stages.statistics import refresh
from podcast_assets.stages.statistics.groups import GROUPS
from podcast_assets.stages.statistics.queue import count_queue
from podcast_assets.stages.statistics.refresh import refresh_statistics
from podcast_assets.stages.statistics.totals import Statistics, compute_statistics
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, RAW_AUDIO, empty_table, make_table
from podcast_assets.store.statistics_table import KEY, TOTALS_KEY, read_totals
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch, failure


def audio_row(episode: str, status: str = "done", **values: Any) -> dict[str, Any]:
    return dict.fromkeys(RAW_AUDIO) | {"episode_id": episode, "source": f"{episode}.mp3", "status": status} | values


def commit_audio(store: Store, batch: str, *rows: dict[str, Any]) -> None:
    commit(store, "raw_audio", batch, make_table(list(rows), RAW_AUDIO), empty_table(PROVENANCE), empty_table(FAILURES))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A batch that is done and has failures, one that is begun, and one that waits."""
    store = Store.at(tmp_path)
    commit_batch(store, "done", failure("transcribe", episode="b"), failure("score", permanent=True, episode="b"))
    commit_audio(
        store,
        "done",
        audio_row("a", podcast="Tea", language="en", bytes=10, duration=3600.0),
        audio_row("b", podcast="Tea", language="en", bytes=20, duration=7200.0),
        audio_row("c", "failed", error="c.mp3 is cut off at byte 17"),
        audio_row("d", "skipped"),
    )
    commit_audio(store, "begun", audio_row("e", podcast_id="guid", language="de", bytes=40, duration=1800.0))
    store.write("incoming/new.tar", b"12345")
    store.write("incoming/done.tar", b"123")
    return store


def ask(store: Store, **options: Any) -> Statistics:
    rows = refresh_statistics(store).rows
    return compute_statistics(rows, count_queue(rows, list_incoming(store)), **options)


def test_totals_and_what_waits(store: Store) -> None:
    found = ask(store)
    assert found.batches == {"total": 2, "done": 1, "failed": 0, "empty": 0, "begun": 1}
    assert found.episodes == {"total": 5, "done": 1, "failed": 2, "skipped": 1, "discarded": 0, "pending": 1}
    assert (found.hours, found.bytes, found.success_rate) == (1.0, 10, 0.3333)
    queue = found.queue
    assert (queue.batches_waiting, queue.files_waiting, queue.bytes_waiting) == (1, 1, 5)
    assert (queue.batches_begun, queue.episodes_pending, queue.hours_pending) == (1, 1, 0.5)
    assert found.failures == [
        {"stage": "score", "reason": "BadInput: it failed", "episodes": 1},
        {"stage": "transcribe", "reason": "ConnectionError: it failed", "episodes": 1},
        {"stage": "unpack", "reason": "FILE is cut off at byte N", "episodes": 1},
    ]


def test_groups(store: Store) -> None:
    podcasts = {g["podcast"]: g for g in ask(store, by="podcast").groups}
    assert podcasts.keys() == {"Tea", "guid", "unknown"}
    assert (podcasts["Tea"]["done"], podcasts["Tea"]["failed"], podcasts["Tea"]["success_rate"]) == (1, 1, 0.5)
    assert (podcasts["guid"]["pending"], podcasts["guid"]["hours"]) == (1, 0.0), "hours are those that are done"
    assert [g["language"] for g in ask(store, by="language").groups] == ["en", "unknown", "de"]
    (day,) = ask(store, by="day").groups
    assert (day["day"], day["episodes"]) == (datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"), 5)
    assert {g["status"]: g["hours"] for g in ask(store, by="status").groups} == {
        "done": 1.0,
        "failed": 2.0,
        "skipped": 0.0,
        "pending": 0.5,
    }


def test_batches_have_the_states_that_their_list_shows_and_discards_count_at_once(store: Store) -> None:
    commit_batch(store, "failed", failure("diarize"))
    commit_batch(store, "nothing")

    def states() -> dict[str, str]:
        rows = refresh_statistics(store).rows.filter(kind="batch")
        found = dict(rows.select("batch", "status").iter_rows())
        listed = {row.batch: row.state for row in batch_rows(store) if row.batch in found}
        assert found == listed, "batches and stats mean the same"
        return found

    assert states() == {"done": "done", "begun": "begun", "failed": "failed", "nothing": "empty"}
    discard(store, ["done/a"], "only music", None, datetime.datetime.now(datetime.UTC))
    assert states()["done"] == "failed", "what is left has failed"
    discard(store, ["done/b", "done/c"], "only music", None, datetime.datetime.now(datetime.UTC))
    assert states()["done"] == "empty"
    found = ask(store, by="status")
    assert (found.episodes["discarded"], found.episodes["done"], found.episodes["failed"]) == (3, 0, 0)
    assert [f["reason"] for f in found.failures] == ["ConnectionError: it failed"], "theirs are settled"
    assert next(g["hours"] for g in found.groups if g["status"] == "discarded") == 3.0
    undo_discard(store, ["done/a"])
    assert states()["done"] == "done"


def test_a_period_holds_what_was_finished_in_it(store: Store) -> None:
    now = datetime.datetime.now(datetime.UTC)
    assert ask(store, since=now - datetime.timedelta(hours=2)).episodes["total"] == 5
    later = ask(store, since=now + datetime.timedelta(hours=2))
    assert (later.episodes["total"], later.success_rate, later.failures) == (0, None, [])
    assert later.batches["total"] == 2, "batches are those of now"


def test_only_changed_batches_are_read_again(store: Store) -> None:
    assert refresh_statistics(store).counted == 2
    assert refresh_statistics(store).counted == 0
    commit_audio(store, "begun", audio_row("e", duration=1800.0), audio_row("f", duration=1800.0))
    again = refresh_statistics(store)
    assert again.counted == 1
    assert again.rows.filter(kind="episodes", batch="begun")["episodes"].sum() == 2
    store.remove(table_key("raw_audio", "begun"))
    gone = refresh_statistics(store)
    assert (gone.counted, gone.rows["batch"].unique().to_list()) == (0, ["done"])


def test_a_change_within_the_resolution_of_the_clock_is_seen(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders' times are trusted when they are old. Here a table is written without a change of that time."""
    monkeypatch.setattr(refresh, "SETTLED_SECONDS", 0.0)
    folder = Path(str(store.path("tables/raw_audio")))
    before = folder.stat()
    assert refresh_statistics(store).counted == 2
    commit_audio(store, "begun")
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert refresh_statistics(store).counted == 0, "nothing is listed where no folder changed"
    monkeypatch.setattr(refresh, "SETTLED_SECONDS", 3600.0)
    assert refresh_statistics(store).counted == 1


def test_an_interrupted_first_count_is_resumed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresh, "SAVED_EVERY", 1)

    def interrupt(done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh_statistics(store, interrupt)
    assert refresh_statistics(store).counted == 1


def test_damaged_tables_of_statistics_are_made_again(store: Store) -> None:
    def damage(key: str) -> None:
        data = store.read(key)
        store.write(key, data[:40] + bytes([data[40] ^ 1]) + data[41:])

    before = ask(store, by="day")
    damage(TOTALS_KEY)
    assert refresh_statistics(store).counted == 0, "the totals are those of the counts of each batch"
    damage(KEY)
    assert refresh_statistics(store).counted == 0, "what nothing asks for is not read"
    damage(TOTALS_KEY)
    assert refresh_statistics(store).counted == 2
    assert ask(store, by="day") == before


@pytest.mark.parametrize("by", GROUPS)
def test_totals_say_what_the_counts_of_each_batch_say(store: Store, by: str) -> None:
    """The first call sums the counts of each batch, the second one reads the sums over the batches."""
    first, second = ask(store, by=by), ask(store, by=by)
    assert first == second
    assert read_totals(store).rows.filter(pl.col("kind") != "batch")["batch"].null_count() > 0


def test_a_damaged_batch_does_not_hide_the_others(store: Store) -> None:
    store.write(table_key("raw_audio", "done"), b"PAR1 no table")
    found = ask(store)
    assert (found.episodes["total"], found.batches) == (1, {"total": 2, "done": 0, "failed": 0, "empty": 0, "begun": 2})


def test_a_store_that_cannot_be_written_to_is_counted_each_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreTrouble(errno.EROFS, "read-only")

    monkeypatch.setattr(refresh, "write_statistics", refuse)
    for _ in range(2):
        found = refresh_statistics(store)
        assert (found.counted, found.not_saved) == (2, "read-only")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("a.mp3: HTTP 503 from https://user:secret@host/x?token=1", "E: FILE: HTTP N from URL"),
        ("no decoder for 'Opus 7' in /srv/store/a b", "E: no decoder for '…' in PATH b"),
        ("x" * 500, f"E: {'x' * (LONGEST_REASON - 4)}…"),
        (None, "E"),
    ],
)
def test_equal_failures_have_one_reason(message: str | None, reason: str) -> None:
    assert failure_reason("E", message, "a.mp3") == reason
