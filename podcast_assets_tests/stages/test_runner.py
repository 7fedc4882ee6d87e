"""The promises of the stage runner: resume, one failure row per failed episode, nothing done twice."""

import errno
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.compute.device import BrokenDevice
from podcast_assets.stages.compute.local import Local, local_compute
from podcast_assets.stages.compute.stream import AT_ONCE_SECONDS, NoProgress
from podcast_assets.stages.progress import Progress
from podcast_assets.stages.results import StageRun
from podcast_assets.stages.runner import NothingDone, run_stage
from podcast_assets.stages.stage import Episode, EpisodeResult, OneByOne, PreparedEpisode
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.schema import SEGMENTS, Columns
from podcast_assets.store.store import Store, checkpoints_key, failures_key, provenance_key, table_key


class Tool(Engine):
    """An engine with one setting that changes results, and one that does not."""

    name: ClassVar[str] = "tool"
    level: int = 1


@dataclass
class Cut(OneByOne):
    """A stage that makes `seconds` segments of 1 s, and can be told to fail."""

    engine: Tool = field(default_factory=Tool)
    errors: dict[str, Exception] = field(default_factory=dict)
    loads: int = 0
    processed: list[str] = field(default_factory=list)
    version: str = "1"
    files: list[str] = field(default_factory=list)
    name: ClassVar[str] = "cut"
    columns: ClassVar[Columns] = SEGMENTS
    asset: ClassVar[str] = "diarized_segments"

    def load(self, device: str | None = None) -> str:
        self.loads += 1
        return "worker"

    def outputs(self, episode: Episode) -> list[str]:
        return self.files

    def prepare(self, episode: Episode) -> int:
        return int(episode.seconds)

    def process(self, worker: str, episode: Episode, prepared: int) -> pl.DataFrame:
        assert worker == "worker"
        self.processed.append(episode.episode_id)
        if error := self.errors.get(episode.episode_id):
            raise error
        rows = [
            {
                "segment_id": f"{episode.episode_id}-{n}",
                "episode_id": episode.episode_id,
                "segment_index": n,
                "start": float(n),
                "end": n + 1.0,
                "duration": 1.0,
                "speaker": "A",
                "overlap": 0.0,
                "flags": [],
            }
            for n in range(prepared)
        ]
        return pl.DataFrame(rows, schema={k: v for k, (v, _) in list(SEGMENTS.items())[:9]})


def episodes(*names: str, sha: str = "x") -> list[Episode]:
    return [Episode(n, f"{n}.mp3", float(i + 1), {"sha256": sha}) for i, n in enumerate(names)]


def run(store: Store, stage: Cut, todo: Sequence[Episode], **options: Any) -> StageRun:
    return run_stage(stage, "b1", todo, store, Local(stage, 2), **options)  # type: ignore[arg-type]


def commit(result: StageRun, store: Store) -> None:
    result.commit(store, result.table())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path)


def test_every_episode_has_its_rows_in_the_order_of_the_batch(store: Store) -> None:
    stage = Cut()
    result = run(store, stage, episodes("a", "b", "c"))
    assert list(result.done) == ["a", "b", "c"]
    assert result.table()["episode_id"].to_list() == ["a", "b", "b", "c", "c", "c"]
    assert result.table()["engine"].unique().to_list() == ["tool"]
    assert stage.loads == 1


def test_what_is_committed_is_not_done_again_and_no_model_is_loaded(store: Store) -> None:
    commit(run(store, Cut(), episodes("a", "b")), store)
    again = Cut()
    result = run(store, again, episodes("a", "b"))
    assert (again.processed, again.loads, result.ran) == ([], 0, 0)
    assert result.table().height == 3


def test_an_episode_without_rows_counts_as_done(store: Store) -> None:
    silent = [Episode("silent", "silent.mp3", 0.0, {"sha256": "s"})]
    commit(run(store, Cut(), silent), store)
    again = Cut()
    assert list(run(store, again, silent).done) == ["silent"]
    assert again.processed == []


def test_a_crash_keeps_what_was_done(store: Store) -> None:
    """The process dies in the second episode: the first comes from its checkpoint."""
    with pytest.raises(KeyboardInterrupt):
        run(store, Cut(errors={"b": KeyboardInterrupt()}), episodes("a", "b", "c"))  # type: ignore[dict-item]
    assert not store.exists(table_key("diarized_segments", "b1"))
    again = Cut()
    result = run(store, again, episodes("a", "b", "c"))
    assert again.processed == ["b", "c"]
    assert list(result.done) == ["a", "b", "c"]
    commit(result, store)
    assert not store.exists(checkpoints_key("cut", "b1"))


def test_a_crash_between_provenance_and_table_does_the_episode_again(store: Store) -> None:
    """Provenance of a new engine beside the table of the old one must not pass the old rows off as new ones."""
    commit(run(store, Cut(), episodes("a")), store)
    newer = run(store, Cut(engine=Tool(level=2)), episodes("a"))
    store.write_table(provenance_key("diarize", "b1"), newer.provenance)
    assert newer.checkpoints
    newer.checkpoints.remove()
    again = Cut(engine=Tool(level=2))
    run(store, again, episodes("a"))
    assert again.processed == ["a"]
    old = CommittedTable.read(store, "diarized_segments", "b1")
    assert (list(old.fingerprints), old.provenance.height) == (["a"], 0)


def test_a_failure_and_then_a_crash_after_provenance_is_not_taken_for_done(store: Store) -> None:
    first = run(store, Cut(errors={"b": OSError("away")}), episodes("a", "b"))
    commit(first, store)
    second = run(store, Cut(), episodes("a", "b"))
    store.write_table(provenance_key("diarize", "b1"), second.provenance)
    assert second.checkpoints
    second.checkpoints.remove()
    again = Cut()
    result = run(store, again, episodes("a", "b"))
    assert "b" in again.processed
    assert result.table().height == 3


def test_an_episode_whose_file_is_gone_is_done_again(store: Store) -> None:
    store.write("audio/working/x.flac", b"audio")
    files = ["audio/working/x.flac"]
    commit(run(store, Cut(files=files), episodes("a")), store)
    untouched = Cut(files=files)
    run(store, untouched, episodes("a"))
    store.remove("audio/working/x.flac")
    again = Cut(files=files)
    run(store, again, episodes("a"))
    assert (untouched.processed, again.processed) == ([], ["a"])


@pytest.mark.parametrize(
    ("changed", "sha"),
    [(Cut(engine=Tool(level=2)), "x"), (Cut(version="2"), "x"), (Cut(), "other bytes")],
    ids=["engine", "code version", "input"],
)
def test_what_determines_the_result_has_changed(store: Store, changed: Cut, sha: str) -> None:
    commit(run(store, Cut(), episodes("a")), store)
    run(store, changed, episodes("a", sha=sha))
    assert changed.processed == ["a"]


def test_a_failed_episode_is_a_row_and_takes_nothing_down(store: Store) -> None:
    result = run(store, Cut(errors={"b": BadInput("ends after 3 s: the file is truncated")}), episodes("a", "b", "c"))
    assert list(result.done) == ["a", "c"]
    row = result.failures.row(0, named=True)
    assert (row["episode_id"], row["stage"], row["error_type"]) == ("b", "cut", "BadInput")
    assert row["message"] == "ends after 3 s: the file is truncated"
    assert "process" in row["traceback"]
    assert (row["permanent"], row["attempts"]) == (True, 1)
    commit(result, store)
    assert store.exists(failures_key("diarize", "b1"))


def test_many_that_fail_alike_are_counted_and_not_each_named(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"a{n}" for n in range(40)]
    errors: dict[str, Exception] = {name: BadInput(f"{name}.mp3: cut off at byte {name[1:]}") for name in names[:30]}
    errors |= {"a30": BadInput("is no audio")}
    result = run(store, Cut(errors=errors), episodes(*names))
    warned = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert len(warned) == 5 + 1 + 1
    assert warned[-1] == "b1: cut: 25 more failed alike: BadInput: cut off at byte N"
    assert any("is no audio" in line for line in warned), "another reason is named"
    assert result.failures.height == 31
    assert result.failures["message"][0] == "cut off at byte 0", "the name is beside it, and not in it once more"


def test_bad_data_is_not_tried_again_but_other_trouble_is(store: Store) -> None:
    errors = {"a": BadInput("bad"), "b": OSError("the network went away")}
    first = Cut(errors=errors)
    commit(run(store, first, episodes("a", "b")), store)
    assert first.processed == ["a", "b", "b"], "what may pass is tried twice in a run"
    again = Cut(errors=errors)
    result = run(store, again, episodes("a", "b"))
    assert again.processed == ["b", "b"]
    assert dict(result.failures.select("episode_id", "attempts").iter_rows()) == {"a": 1, "b": 2}
    asked = Cut()
    run(store, asked, episodes("a", "b"), retry_permanent=True)
    assert asked.processed == ["a", "b"]


def test_a_broken_device_stops_the_worker_before_it_fails_the_batch(store: Store) -> None:
    broken = RuntimeError("CUDA error: an illegal memory access was encountered")
    stage = Cut(errors=dict.fromkeys("bcde", broken))
    with pytest.raises(BrokenDevice, match="b1: cut: 3 episodes in a row"):
        run(store, stage, episodes("a", "b", "c", "d", "e"))
    assert stage.processed == ["a", "b", "c", "d"]
    again = Cut()
    run(store, again, episodes("a", "b", "c", "d", "e"))
    assert again.processed == ["b", "c", "d", "e"]


def test_a_broken_device_is_told_in_a_batch_of_two_as_well(store: Store) -> None:
    stage = Cut(errors=dict.fromkeys("ab", RuntimeError("CUDA error: unspecified launch failure")))
    with pytest.raises(BrokenDevice):
        run(store, stage, episodes("a", "b"))


def test_out_of_memory_is_the_episode_not_the_device(store: Store) -> None:
    stage = Cut(errors=dict.fromkeys("abcd", RuntimeError("CUDA failed with error out of memory")))
    assert run(store, stage, episodes("a", "b", "c", "d", "e")).failures.height == 4


def test_when_everything_fails_but_not_for_its_data_nothing_is_committed(store: Store) -> None:
    stage = Cut(errors=dict.fromkeys("ab", OSError("the store went away")))
    with pytest.raises(NothingDone, match="b1: cut: all 2 episodes failed, and not because of their data"):
        run(store, stage, episodes("a", "b"))
    bad = Cut(errors=dict.fromkeys("ab", BadInput("is not audio")))
    assert run(store, bad, episodes("a", "b")).failures.height == 2


def test_bad_data_of_an_earlier_run_count_when_all_others_fail(store: Store) -> None:
    """The second run is judged as the first one: attempts are counted on, and the retries come to an end."""
    down = OSError("the server is down")
    errors: dict[str, Exception] = {"a": BadInput("is not audio"), "b": down, "c": down}
    for attempt in (1, 2):
        result = run(store, Cut(errors=errors), episodes("a", "b", "c"))
        assert result.failures["attempts"].to_list() == [1, attempt, attempt]
        commit(result, store)


def test_a_trouble_that_passes_costs_no_failure(store: Store) -> None:
    class Flaky(Cut):
        def process(self, worker: str, episode: Episode, prepared: int) -> pl.DataFrame:
            self.errors = {} if self.processed else {"a": ConnectionResetError("reset")}
            return super().process(worker, episode, prepared)

    stage = Flaky()
    result = run(store, stage, episodes("a", "b"))
    assert (list(result.done), stage.processed) == (["a", "b"], ["a", "b", "a"])


def test_no_thread_outlives_a_stage_whose_error_is_kept(store: Store) -> None:
    """Else the garbage collector ends them, in any thread, which deadlocks where it is about to start."""
    full = Cut(errors={"b": OSError(errno.ENOSPC, "No space left on device")})
    with pytest.raises(OSError, match="No space left") as raised:
        run(store, full, episodes(*"abcdefgh"))

    def refuse(progress: Progress) -> None:
        if progress.last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupted:
        run(store, Cut(), episodes(*"abcdefgh"), report=refuse)
    assert raised.value.__traceback__
    assert interrupted.value.__traceback__
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("prefetch", "save")) and t.is_alive()]


def test_a_full_disk_stops_the_stage(store: Store) -> None:
    stage = Cut(errors={"b": OSError(errno.ENOSPC, "No space left on device")})
    with pytest.raises(OSError, match="No space left"):
        run(store, stage, episodes("a", "b", "c"))
    again = Cut()
    run(store, again, episodes("a", "b", "c"))
    assert again.processed == ["b", "c"]


def test_batches_of_one_run_share_a_worker(store: Store) -> None:
    stage = Cut()
    with local_compute(stage, 2) as compute:  # type: ignore[arg-type]
        for batch in ("b1", "b2"):
            run_stage(stage, batch, episodes("a"), store, compute=compute)  # type: ignore[arg-type]
    assert stage.loads == 1


def test_progress_is_told_at_the_beginning_and_after_each_episode(store: Store) -> None:
    told: list[Progress] = []
    run(store, Cut(errors={"b": BadInput("x")}), episodes("a", "b", "c"), report=told.append)
    assert [(p.done, p.failed, p.total, p.last) for p in told] == [
        (0, 0, 3, ""),
        (1, 0, 3, "a.mp3"),
        (1, 1, 3, "b.mp3"),
        (2, 1, 3, "c.mp3"),
    ]
    assert told[-1].audio_seconds == 4.0
    assert told[-1].audio_left == 0.0
    assert "3 of 3, 1 failed" in str(told[-1])


def test_many_episodes_keep_the_order_of_their_rows_and_reports(store: Store) -> None:
    names = [f"e{n}" for n in range(40)]
    told: list[str] = []
    result = run(store, Cut(errors={"e7": BadInput("x")}), episodes(*names), report=lambda p: told.append(p.last))
    assert told == ["", *(f"{name}.mp3" for name in names)]
    assert result.done == [name for name in names if name != "e7"]
    assert result.table().equals(run(store, Cut(), episodes(*names)).table().filter(pl.col("episode_id") != "e7"))


def test_an_episode_that_is_reported_as_done_has_its_checkpoint(store: Store) -> None:
    seen: list[tuple[int, int]] = []

    def report(progress: Progress) -> None:
        folder = store.names("checkpoints/cut/b1")
        seen.append((progress.done, sum(not name.startswith(".") for name in folder)))

    run(store, Cut(), episodes(*(f"e{n}" for n in range(40))), report=report)
    assert [done for done, _ in seen] == list(range(41))
    assert all(checkpoints >= done for done, checkpoints in seen)


def test_a_trouble_in_the_prefetch_thread_belongs_to_its_episode(store: Store) -> None:
    class Unreadable(Cut):
        def prepare(self, episode: Episode) -> int:
            if episode.episode_id == "a":
                raise BadInput("is not audio")
            return super().prepare(episode)

    result = run(store, Unreadable(), episodes("a", "b"))
    assert (list(result.done), result.failures["message"].to_list()) == (["b"], ["is not audio"])


@dataclass
class Breaking(Cut):
    """Ends each pass of `process_all` after so many episodes, as `ends` says; None where it goes on."""

    ends: Callable[[], None] = lambda: None
    after: int = 0
    passes: int = 0

    def process_all(self, worker: str, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        self.passes += 1
        if self.passes > 20:
            pytest.fail("it comes to no end")
        for _ in range(self.after):
            yield from super().process_all(worker, islice(work, 1))
        self.ends()


def raises(error: Exception) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


def test_an_engine_that_does_not_load_when_it_is_needed_ends_the_stage(store: Store) -> None:
    stage = Breaking(ends=raises(EngineUnavailable("the model is damaged")))
    with pytest.raises(EngineUnavailable, match=r"^b1: cut: the model is damaged\. No attempt was counted: .*doctor"):
        run(store, stage, episodes("a", "b"))
    assert stage.passes == 1
    assert not store.exists(failures_key("diarize", "b1"))


@pytest.mark.parametrize(
    ("ends", "why"),
    [(raises(OSError("no such file")), "raised OSError: no such file"), (lambda: None, "ended")],
    ids=["raises", "returns"],
)
def test_a_stage_that_takes_no_episode_ends(store: Store, ends: Callable[[], None], why: str) -> None:
    stage = Breaking(ends=ends)
    with pytest.raises(NoProgress, match=f"^b1: cut {why} before it took an episode"):
        run(store, stage, episodes("a", "b"))
    assert stage.passes == 1
    assert not store.exists(failures_key("diarize", "b1"))


@pytest.mark.parametrize("ends", [raises(OSError("away")), lambda: None], ids=["raises", "returns"])
def test_a_stage_that_ends_early_goes_on_with_the_episodes_that_are_left(
    store: Store, ends: Callable[[], None]
) -> None:
    stage = Breaking(ends=ends, after=2)
    result = run(store, stage, episodes("a", "b", "c", "d", "e"))
    assert (list(result.done), stage.processed, stage.passes) == (list("abcde"), list("abcde"), 3)


def test_an_episode_that_waits_for_its_engine_spends_no_attempt(store: Store) -> None:
    missing: dict[str, Exception] = {"b": EngineUnavailable("the model of zh is damaged")}
    first = run(store, Cut(errors=missing), episodes("a", "b"))
    commit(first, store)
    again = run(store, Cut(errors=missing), episodes("a", "b"))
    for result in (first, again):
        row = result.failures.row(0, named=True)
        assert (row["episode_id"], row["permanent"], row["attempts"]) == ("b", False, 0)
        assert row["message"] == "the model of zh is damaged"


def test_where_every_episode_waits_for_its_engine_nothing_is_committed(store: Store) -> None:
    missing: Exception = EngineUnavailable("the model is damaged")
    stage = Cut(errors=dict.fromkeys("ab", missing))
    with pytest.raises(EngineUnavailable, match="b1: cut: the model is damaged"):
        run(store, stage, episodes("a", "b"))
    assert stage.processed == ["a", "b"], "nothing comes of a second try in the same run"


@dataclass
class OnCores(Cut):
    """CPU work."""

    cpu_bound: ClassVar[bool] = True  # type: ignore[misc]


def test_a_crash_in_cpu_work_keeps_what_was_done(store: Store) -> None:
    stage, again = OnCores(errors={"c": KeyboardInterrupt()}), OnCores()  # type: ignore[dict-item]
    with pytest.raises(KeyboardInterrupt):
        run_stage(stage, "b1", episodes(*"abcd"), store, Local(stage, 2, cores=1))  # type: ignore[arg-type]
    result = run(store, again, episodes(*"abcd"))
    assert "c" in again.processed
    assert not {"a", "b"}.intersection(again.processed)
    assert list(result.done) == list("abcd")


@dataclass
class Together(OnCores):
    """An episode waits until as many as there are cores have begun."""

    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(3))

    def process(self, worker: str, episode: Episode, prepared: int) -> pl.DataFrame:
        self.together.wait(timeout=60)
        return super().process(worker, episode, prepared)


@dataclass
class OnThreads(Cut):
    """An episode of 1 s waits until another one has begun. How many were in work at once is noted."""

    together: threading.Barrier = field(default_factory=lambda: threading.Barrier(2))
    in_work: list[str] = field(default_factory=list)
    most: int = 0

    def is_thread_safe(self, worker: str) -> bool:
        return True

    def process(self, worker: str, episode: Episode, prepared: int) -> pl.DataFrame:
        self.in_work.append(episode.episode_id)
        self.most = max(self.most, len(self.in_work))
        try:
            if prepared == 1:
                self.together.wait(timeout=60)
            else:
                time.sleep(0.05)
            return super().process(worker, episode, prepared)
        finally:
            self.in_work.remove(episode.episode_id)


def test_short_episodes_share_a_thread_safe_worker(store: Store) -> None:
    errors: dict[str, Exception] = {"b": BadInput("is not audio")}
    todo = [Episode(name, f"{name}.mp3", 1.0, {}) for name in "abcdef"]
    stage, one = OnThreads(errors=errors), Cut(errors=errors)
    result = run_stage(stage, "b1", todo, store, Local(stage, 1, cores=2))  # type: ignore[arg-type]
    assert list(result.done) == list("acdef")
    assert result.failures["message"].to_list() == ["is not audio"]
    assert run_stage(one, "b2", todo, store, Local(one, 1)).table().equals(result.table())  # type: ignore[arg-type]
    assert stage.loads == 1


def test_long_episodes_are_processed_one_at_a_time(store: Store) -> None:
    stage = OnThreads()
    todo = [Episode(name, f"{name}.mp3", AT_ONCE_SECONDS, {}) for name in "abcd"]
    result = run_stage(stage, "b1", todo, store, Local(stage, 4, cores=4))  # type: ignore[arg-type]
    assert list(result.done) == list("abcd")
    assert stage.most == 1


@pytest.mark.parametrize("prefetch", [1, 7])
def test_cpu_work_is_done_on_all_cores_whatever_is_prefetched(store: Store, prefetch: int) -> None:
    stage = Together(errors={"b": BadInput("is not audio")})
    todo = episodes(*"abcdef")
    result = run_stage(stage, "b1", todo, store, Local(stage, prefetch, cores=3))  # type: ignore[arg-type]
    assert list(result.done) == list("acdef")
    assert result.failures["message"].to_list() == ["is not audio"]
    one = Cut(errors={"b": BadInput("is not audio")})
    assert run_stage(one, "b2", todo, store, Local(one, 1)).table().equals(result.table())  # type: ignore[arg-type]
    assert stage.loads == 1
