"""A decoder that crashes, hangs or is killed costs the recording that it was at, and nothing else."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from podcast_assets.audio import decode_process
from podcast_assets.audio.decode_process import DecoderLost, DecoderStuck, make_working_audio_in_subprocess
from podcast_assets.audio.errors import CorruptAudio, EmptyAudio, NotAudio
from podcast_assets.audio.ingest import make_working_audio
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.store import Store
from podcast_assets_tests import miniature

pytestmark = pytest.mark.hostile

TALK = miniature.BATCH / "night-science.mp3"


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    decode_process._decoders.close()


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten hours that take a small file, and long enough to decode for something to happen meanwhile."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    block = np.zeros((8_000 * 60, 1), np.int16)
    with soundfile.SoundFile(path, "w", samplerate=8_000, channels=1, format="FLAC", subtype="PCM_16") as out:
        for _ in range(600):
            out.write(block)
    return path


@contextlib.contextmanager
def to_decoders(send: Callable[[psutil.Process], None]) -> Iterator[None]:
    """Do something to the first decoding process of this one that is at work, once, while the block runs."""
    over = threading.Event()

    def wait() -> None:
        while not over.wait(0.02):
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if any("decode_worker" in part for part in child.cmdline()) and child.cpu_times().user > 1.5:
                        send(child)
                        return

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_it_gives_what_decoding_here_gives(tmp_path: Path) -> None:
    source = TALK
    here, apart = tmp_path / "here.flac", tmp_path / "apart.flac"
    assert make_working_audio_in_subprocess(source, apart) == make_working_audio(source, here)
    assert here.read_bytes() == apart.read_bytes()


def test_one_process_does_many_and_errors_are_those_of_here(tmp_path: Path) -> None:
    source, target = TALK, tmp_path / "out.flac"
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_bytes(b"no audio " * 100)
    make_working_audio_in_subprocess(source, target)
    process = decode_process._decoders.idle.queue[0].pid
    with pytest.raises(EmptyAudio, match="0 bytes"):
        make_working_audio_in_subprocess(tmp_path / "empty.mp3", target)
    with pytest.raises(NotAudio):
        make_working_audio_in_subprocess(tmp_path / "text.mp3", target)
    with pytest.raises(FileNotFoundError):
        make_working_audio_in_subprocess(tmp_path / "nowhere.mp3", target)
    make_working_audio_in_subprocess(source, target)
    assert decode_process._decoders.idle.queue[0].pid == process


@pytest.mark.parametrize(
    ("ended_by", "error", "match"),
    [(signal.SIGSEGV, CorruptAudio, "crashes its decoder .SIGSEGV"), (signal.SIGKILL, DecoderLost, "memory")],
)
def test_a_process_that_ends_is_told_apart(
    tmp_path: Path, long: Path, ended_by: signal.Signals, error: type[Exception], match: str
) -> None:
    with to_decoders(lambda child: child.send_signal(ended_by)), pytest.raises(error, match=match):
        make_working_audio_in_subprocess(long, tmp_path / "out.flac")
    make_working_audio_in_subprocess(TALK, tmp_path / "next.flac")


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, long: Path) -> None:
    stopped: list[int] = []

    def stop(child: psutil.Process) -> None:
        stopped.append(child.pid)
        child.suspend()

    with to_decoders(stop), pytest.raises(DecoderStuck, match="its decoder made no progress for 5 s"):
        make_working_audio_in_subprocess(long, tmp_path / "out.flac", stall=5)
    assert not psutil.pid_exists(stopped[0])


def test_a_crash_is_the_failure_of_one_episode(tmp_path: Path, long: Path) -> None:
    store = Store.at(tmp_path)
    todo = []
    for path in (long, TALK, miniature.BATCH / "city-music.m4a"):
        with path.open("rb") as f:
            stored = store.put_original(f, path.suffix)
        todo.append(ingest_episode(path.stem, path.name, stored.sha256, stored.key))
    at_work = [p.pid for p in psutil.Process().children()]

    def crash(child: psutil.Process) -> None:
        if child.pid not in at_work:
            child.send_signal(signal.SIGSEGV)

    stage = Ingest(store)
    with to_decoders(crash):
        run = run_stage(stage, "batch", todo, store, Local(stage, 2))
    assert len(run.done) == len(todo) - 1
    (failure,) = run.failures.iter_rows(named=True)
    assert failure["permanent"]
    assert "crashes its decoder" in failure["message"]


def test_ten_hours_take_no_more_memory_than_the_process_may(tmp_path: Path, long: Path) -> None:
    found = make_working_audio_in_subprocess(long, tmp_path / "out.flac")
    assert found.duration == 36_000
    child = decode_process._decoders.idle.queue[0].pid
    assert child is not None
    assert psutil.Process(child).memory_info().rss < 300 << 20
