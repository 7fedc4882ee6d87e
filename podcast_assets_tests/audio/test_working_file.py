"""Working audio that is decoded where it is needed says what the same audio in memory says."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from podcast_assets.audio.errors import EmptyAudio, NotAudio
from podcast_assets.audio.working import WORKING_RATE
from podcast_assets.audio.working_file import WorkingFile
from podcast_assets.speech.types import Pcm

SAMPLES = np.random.default_rng(0).integers(-(2**15), 2**15, 400 * WORKING_RATE + 7).astype(np.int16)
MINUTE = 60 * WORKING_RATE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "w.flac", SAMPLES, WORKING_RATE)
    return tmp_path / "w.flac"


@pytest.mark.parametrize(
    "part",
    [
        slice(0, 10),
        slice(5, 5),
        slice(9, 3),
        slice(MINUTE - 3, MINUTE + 3),
        slice(MINUTE // 2, 3 * MINUTE),
        slice(len(SAMPLES) - 5, len(SAMPLES) + 90),
        slice(len(SAMPLES) + 1, len(SAMPLES) + 9),
        slice(-20, None),
        slice(None, None),
        slice(10, 100, 3),
    ],
)
def test_slices_equal_those_of_audio_in_memory(path: Path, part: slice) -> None:
    audio = WorkingFile(path)
    assert len(audio) == len(SAMPLES)
    np.testing.assert_array_equal(audio[part], Pcm(SAMPLES)[part])
    assert audio[part].dtype == np.float32


def test_slices_may_come_in_any_order_and_from_several_threads(path: Path) -> None:
    audio, wrong = WorkingFile(path), []

    def read(seed: int) -> None:
        starts = np.random.default_rng(seed).integers(0, len(SAMPLES), 50).tolist()
        wrong.extend(s for s in starts if not np.array_equal(audio[s : s + 9000], Pcm(SAMPLES)[s : s + 9000]))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_file_may_be_removed_while_it_is_in_use(path: Path) -> None:
    audio = WorkingFile(path)
    path.unlink()
    np.testing.assert_array_equal(audio[2 * MINUTE : 2 * MINUTE + 9], Pcm(SAMPLES)[2 * MINUTE : 2 * MINUTE + 9])


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_a_truncated_file_is_refused_when_it_is_opened(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(NotAudio):
        WorkingFile(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"nothing of the kind" * 100)
    soundfile.write(tmp_path / "wrong.flac", SAMPLES[:1000], 8000)
    (tmp_path / "empty.flac").touch()
    for name, error in {"text": NotAudio, "wrong.flac": NotAudio, "empty.flac": EmptyAudio}.items():
        with pytest.raises(error):
            WorkingFile(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        WorkingFile(tmp_path / "none.flac")
