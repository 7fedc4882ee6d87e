"""The janitor removes what nobody needs, and nothing that somebody has."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.build import build_definitions
from podcast_assets.defs.janitor import CheckpointFile, oldest_in_use, stale, sweep
from podcast_assets.defs.partitions import BATCHES, PARTITION
from podcast_assets.store.store import Store
from podcast_assets_tests.committed import commit_batch

OLD, NOW = 1_000.0, 2_000.0
BEFORE = 1_500.0
A, B = "a" * 32, "b" * 32

Put = Callable[..., Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Make a file of the store that was last changed at a time."""

    def make(key: str, at: float = OLD) -> Path:
        path = tmp_path / "store" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1234567890")
        os.utime(path, (at, at))
        return path

    return make


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_of_a_batch_without_table_the_newest_of_each_episode_stays() -> None:
    first, second = CheckpointFile(f"one-{A}.parquet", 1, 10), CheckpointFile(f"one-{B}.parquet", 1, 20)
    other, stray = CheckpointFile(f"two-{A}.parquet", 1, 5), CheckpointFile("notes.txt", 1, 1)
    every = [second, first, other, stray]
    assert stale(every, committed=False, before=100) == [first]
    assert stale(every, committed=False, before=10) == []
    assert stale(every, committed=True, before=100) == [second, first, other]
    assert stale(every, committed=True, before=15) == [first, other]


def test_checkpoints_of_a_committed_stage_go_and_unfinished_work_stays(store: Store, put: Put, scratch: Path) -> None:
    commit_batch(store, "done")
    gone = put(f"checkpoints/transcribe/done/x-{A}.parquet")
    superseded = put(f"checkpoints/transcribe/begun/x-{A}.parquet")
    kept = [
        put(f"checkpoints/transcribe/begun/x-{B}.parquet", OLD + 1),
        put(f"checkpoints/diarize/begun/x-{A}.parquet"),
        put(f"checkpoints/transcribe/done/y-{A}.parquet", NOW),
    ]
    freed = sweep(store, before=BEFORE, scratch=scratch)
    assert not gone.exists()
    assert not superseded.exists()
    assert all(path.exists() for path in kept)
    assert (freed.files["checkpoints"], freed.bytes, freed.in_use) == (2, 20, set())


def test_what_a_stage_encoded_is_kept_as_long_as_the_checkpoint_that_speaks_of_it(
    store: Store, put: Put, scratch: Path
) -> None:
    commit_batch(store, "done")
    gone = [put(f"checkpoints/package/{place}.encoded") for place in (f"done/x-{A}", f"begun/x-{A}")]
    kept = [put(f"checkpoints/package/begun/x-{B}.{kind}", OLD + n) for n, kind in enumerate(("encoded", "parquet"), 1)]
    sweep(store, before=BEFORE, scratch=scratch)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_a_batch_that_a_run_has_is_left_alone(store: Store, put: Put, scratch: Path) -> None:
    paths = {}
    for batch in ("locked", "queued", "free"):
        commit_batch(store, batch)
        paths[batch] = put(f"checkpoints/score/{batch}/x-{A}.parquet")
    with store.batch_lock("locked"):
        freed = sweep(store, before=BEFORE, busy={"queued"}, scratch=scratch)
    assert {batch for batch, path in paths.items() if path.exists()} == {"locked", "queued"} == freed.in_use
    sweep(store, before=BEFORE, scratch=scratch)
    assert not paths["locked"].exists()


def test_only_our_own_unfinished_files_go(store: Store, put: Put, scratch: Path) -> None:
    ours = [
        put("tables/transcripts/.one.parquet.0123abcd.part"),
        put(f"scratch/podcast-assets-scratch-{A}.part"),
        put(f"scratch/{A}.part"),
    ]
    kept = [
        put("incoming/one/.talk.mp3.0123abcd.part"),
        put("incoming/talk.mp3.part"),
        put("tables/transcripts/one.part"),
        put("tables/transcripts/.two.parquet.0123abcd.part", NOW),
        put("scratch/one.lock"),
        put("tables/transcripts/one.parquet"),
    ]
    freed = sweep(store, before=BEFORE, scratch=scratch)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in kept)
    assert freed.files == {"unfinished": 3}


def test_scratch_of_the_machine(store: Store, scratch: Path) -> None:
    def make(name: str, at: float, inside: float | None = None) -> Path:
        path = scratch / name
        if inside is None:
            path.write_bytes(b"x")
        else:
            path.mkdir()
            (path / "audio.wav").write_bytes(b"x")
            os.utime(path / "audio.wav", (inside, inside))
        os.utime(path, (at, at))
        return path

    gone = [make("podcast-assets-scratch-1", OLD), make("podcast-assets-nemo-1", OLD, OLD)]
    kept = [
        make("podcast-assets-cuda-0.lock", OLD),
        make("podcast-assets-nemo-2", OLD, NOW),
        make("podcast-assets-scratch-2", NOW),
        make("tmpabcd", OLD, OLD),
    ]
    freed = sweep(store, before=BEFORE, scratch=scratch)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
    assert freed.files == {"temporary": 2}


def test_what_vanishes_meanwhile_is_passed_over(
    store: Store, put: Put, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Folder(type(scratch)):  # type: ignore[misc]
        def iterdir(self) -> Iterator[Any]:  # type: ignore[override]
            yield from [scratch / "podcast-assets-scratch-gone", *scratch.iterdir()]

    scandir = os.scandir

    def remove_and_scan(folder: Any) -> Any:
        if str(folder).endswith("/vanishing"):
            shutil.rmtree(folder, ignore_errors=True)
        return scandir(folder)

    (scratch / "podcast-assets-scratch-1").write_bytes(b"x")
    os.utime(scratch / "podcast-assets-scratch-1", (OLD, OLD))
    put("tables/vanishing/.one.parquet.0123abcd.part")
    put("tables/transcripts/.one.parquet.0123abcd.part")
    monkeypatch.setattr(os, "scandir", remove_and_scan)
    assert sweep(store, before=BEFORE, scratch=Folder(scratch)).files == {"temporary": 1, "unfinished": 1}


def test_nothing_is_younger_than_the_longest_run() -> None:
    assert oldest_in_use(Settings(scratch_hours=1, max_runtime_hours=3), 20_000) == 20_000 - 3 * 3600
    assert oldest_in_use(Settings(scratch_hours=4, max_runtime_hours=3), 20_000) == 20_000 - 4 * 3600


def test_the_job_says_what_it_freed(store: Store, put: Put, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    commit_batch(store, "done")
    commit_batch(store, "waiting")
    put(f"checkpoints/score/done/x-{A}.parquet")
    put(f"checkpoints/score/waiting/x-{A}.parquet")
    job = build_definitions(Settings(store=str(store.root))).resolve_job_def("tidy_up")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(BATCHES, ["done", "waiting"])
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={PARTITION: "waiting"})
        result = job.execute_in_process(instance=instance)
    (output,) = result.filter_events(lambda e: e.is_successful_output)
    told = {k: v.value for k, v in output.step_output_data.metadata.items()}
    assert told == {"removed": 1, "removed_checkpoints": 1, "bytes_freed": 10, "batches_in_use": 1}
