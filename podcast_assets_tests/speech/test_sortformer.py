"""The diarizer `sortformer`, with a double of NeMo's process; `test_sortformer_nemo` has the real one."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.common.errors import EngineUnavailable, is_out_of_memory
from podcast_assets.engines import models
from podcast_assets.engines.availability import check_available
from podcast_assets.engines.engine import make_engine
from podcast_assets.speech.diarizers.sortformer import nemo_process, nemo_worker
from podcast_assets.speech.diarizers.sortformer.engine import Sortformer
from podcast_assets.speech.diarizers.sortformer.nemo_process import NemoError
from podcast_assets.speech.types import SAMPLE_RATE, Diarization, Pcm, Turn
from podcast_assets_tests.speech.processes import ended, kill, wait_until

DOUBLE = Path(__file__).with_name("nemo_double.py")
ONE_SECOND = np.full(SAMPLE_RATE, 0.25, np.float32)
SOMEBODY = {"turns": [[0.0, 0.8, 2]], "probabilities": [[0, 0, 0.9, 0]] * 13}

NemoScript = Callable[..., "Scripted"]


class Scripted:
    """A model file for the double, and what was asked of it."""

    def __init__(self, folder: Path, answers: Sequence[Any], **loading: Any) -> None:
        self.file, self._notes = folder / "scripted.nemo", folder / "notes.jsonl"
        self._notes.touch()
        self.file.write_text(json.dumps({"answers": answers, "notes": str(self._notes), **loading}))

    def engine(self, **settings: Any) -> Sortformer:
        return Sortformer(model=str(self.file), python=sys.executable, device="cpu", **settings)

    @property
    def loads(self) -> list[dict[str, Any]]:
        return [n for n in self._read() if "model" in n]

    @property
    def episodes(self) -> list[dict[str, Any]]:
        return [n for n in self._read() if "audio" in n]

    def _read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._notes.read_text().splitlines()]


@pytest.fixture
def nemo_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NemoScript:
    """Makes a script that the double of NeMo's process runs."""
    monkeypatch.setattr(nemo_process, "WORKER", DOUBLE)
    return lambda *answers, **loading: Scripted(tmp_path, answers, **loading)


def test_what_nemo_hears_becomes_turns_one_at_a_time_and_all_of_them(nemo_script: NemoScript):
    # speaker 3 is heard first; 1 talks into 3 from 0.40 to 0.64 and is likelier there; the last turn passes the end of the audio
    probabilities = [[0, p1, 0, p3] for p1, p3 in [(0, 1)] * 5 + [(0.9, 0.6)] * 3 + [(1, 0)] * 5]
    answer = {"turns": [[0.4, 1.04, 1], [0.0, 0.64, 3]], "probabilities": probabilities}
    found = nemo_script(answer).engine().load().diarize(ONE_SECOND)
    assert found.full == [Turn(0.0, 0.64, "SPEAKER_00"), Turn(0.4, 1.0, "SPEAKER_01")]
    assert [(t.start, t.end, t.speaker) for t in found.turns] == [(0.0, 0.4, "SPEAKER_00"), (0.4, 1.0, "SPEAKER_01")]
    assert [t.overlap for t in found.turns] == pytest.approx([0, 0.4])


def test_audio_travels_as_it_is_held(nemo_script: NemoScript):
    script = nemo_script(SOMEBODY, SOMEBODY)
    worker = script.engine().load()
    worker.diarize(ONE_SECOND)
    worker.diarize(Pcm(np.full(SAMPLE_RATE, 8192, np.int16)))
    assert [(e["dtype"], e["samples"][0]) for e in script.episodes] == [("float32", 0.25), ("int16", 8192)]
    assert not [e for e in script.episodes if Path(e["audio"]).exists() or Path(e["probabilities"]).exists()]


def test_an_episode_without_speech_and_one_without_audio_have_no_turns(nemo_script: NemoScript):
    script = nemo_script({"turns": [], "probabilities": [[0, 0, 0, 0]] * 13})
    worker = script.engine().load()
    assert worker.diarize(ONE_SECOND) == Diarization([], full=[])
    assert worker.diarize(ONE_SECOND[:0]) == Diarization([], full=[])
    assert len(script.episodes) == 1


@pytest.mark.parametrize(
    ("latency", "frames", "seconds"),
    [
        ("very_high_latency", (340, 40, 40, 300, 188), 30.4),
        ("high_latency", (124, 1, 124, 124, 188), 10.0),
        ("low_latency", (6, 7, 188, 144, 188), 1.04),
        ("ultra_low_latency", (3, 1, 188, 144, 188), 0.32),
    ],
)
def test_a_preset_is_passed_as_nvidia_gives_it(
    nemo_script: NemoScript, latency: str, frames: tuple[int, ...], seconds: float
):
    script = nemo_script()
    script.engine(latency=latency, threads=3).load()
    names = ("chunk_len", "chunk_right_context", "fifo_len", "spkcache_update_period", "spkcache_len")
    asked = script.loads[0]
    assert asked["streaming"] == dict(zip(names, frames, strict=True))
    assert (asked["device"], asked["threads"]) == ("cpu", 3)
    # the card gives the latency of each as that of a chunk and its right context
    assert 0.08 * (frames[0] + frames[1]) == pytest.approx(seconds)


def test_high_latency_is_the_default_and_part_of_the_identity(nemo_script: NemoScript):
    script = nemo_script()
    assert script.engine() == script.engine(latency="high_latency")
    assert script.engine().identity() != script.engine(latency="low_latency").identity()
    assert script.engine(threads=2).identity() == script.engine().identity()


def test_the_held_device_is_passed(nemo_script: NemoScript):
    script = nemo_script()
    script.engine().load("cuda:1")
    assert script.loads[0]["device"] == "cuda:1"


def test_modules_that_are_meant_for_this_process_do_not_reach_the_other(
    nemo_script: NemoScript, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "numpy.py").write_text("raise SystemExit('not for NeMo')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert len(nemo_script(SOMEBODY).engine().load().diarize(ONE_SECOND).turns) == 1


def test_an_episode_that_fails_takes_no_other_down(nemo_script: NemoScript):
    script = nemo_script("fails", SOMEBODY)
    worker = script.engine().load()
    with pytest.raises(NemoError, match=r"^RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB$") as raised:
        worker.diarize(ONE_SECOND)
    assert is_out_of_memory(raised.value)
    assert len(worker.diarize(ONE_SECOND).turns) == 1
    assert len(script.loads) == 1


@pytest.mark.parametrize(
    ("accident", "told"),
    [
        ("is killed", "the process of NeMo was killed by SIGKILL$"),
        ("crashes", "the process of NeMo ended with exit code 134; its last log line: terminate called after throwing"),
        ("breaks the device", "CUDA error: an illegal memory access"),
    ],
)
def test_a_process_that_dies_is_told_and_the_next_episode_gets_another(
    nemo_script: NemoScript, accident: str, told: str
):
    script = nemo_script(accident, SOMEBODY)
    worker = script.engine().load()
    with pytest.raises(NemoError, match=told):
        worker.diarize(ONE_SECOND)
    assert len(worker.diarize(ONE_SECOND).turns) == 1
    assert len({load["pid"] for load in script.loads}) == 2
    assert script.loads[0]["streaming"] == script.loads[1]["streaming"]


def test_a_process_that_dies_between_episodes_costs_none(nemo_script: NemoScript):
    script = nemo_script(SOMEBODY, SOMEBODY)
    worker = script.engine().load()
    worker.diarize(ONE_SECOND)
    kill(script.loads[0]["pid"])
    wait_until(lambda: ended(script.loads[0]["pid"]))
    assert len(worker.diarize(ONE_SECOND).turns) == 1


def test_the_process_ends_with_its_parent_even_in_the_middle_of_an_episode(nemo_script: NemoScript):
    script = nemo_script("takes long")
    code = (
        "import sys, numpy; from pathlib import Path; from podcast_assets.speech.diarizers.sortformer import nemo_process\n"
        "from podcast_assets.speech.diarizers.sortformer.engine import Sortformer\n"
        "nemo_process.WORKER = Path(sys.argv[1])\n"
        "worker = Sortformer(model=sys.argv[2], python=sys.executable, device='cpu').load()\n"
        "worker.diarize(numpy.zeros(16000, numpy.float32))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, DOUBLE, script.file])
    wait_until(lambda: bool(script.episodes))
    parent.kill()
    parent.wait()
    wait_until(lambda: ended(script.loads[0]["pid"]))


def test_the_process_ends_when_the_worker_is_let_go(nemo_script: NemoScript):
    script = nemo_script()
    worker = script.engine().load()
    assert not ended(script.loads[0]["pid"])
    del worker
    assert ended(script.loads[0]["pid"])


def test_what_nemo_says_goes_to_the_log_and_not_into_the_protocol(
    nemo_script: NemoScript, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.DEBUG, "podcast_assets"):
        script = nemo_script(SOMEBODY)
        assert len(script.engine().load().diarize(ONE_SECOND).turns) == 1
        wait_until(lambda: "NeMo: a library that prints to the standard output" in caplog.messages)
    assert not [r for r in caplog.records if r.levelno > logging.DEBUG and r.message.startswith("NeMo:")]


def test_known_numbers_of_speakers_that_are_not_met_are_told(nemo_script: NemoScript, caplog: pytest.LogCaptureFixture):
    script = nemo_script(SOMEBODY, SOMEBODY, SOMEBODY)
    worker = script.engine().load()
    worker.diarize(ONE_SECOND, min_speakers=1, max_speakers=4)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    worker.diarize(ONE_SECOND, min_speakers=2)
    assert "sortformer found 1 speakers; expected for the episode: min_speakers 2, max_speakers None" in caplog.text


def test_a_package_that_nemos_environment_lacks_is_told_with_the_command(nemo_script: NemoScript):
    script = nemo_script(lacks="lightning")
    with pytest.raises(EngineUnavailable) as raised:
        script.engine().load()
    assert f"lightning is not installed for {sys.executable}" in str(raised.value)
    assert f"{sys.executable} -m pip install -r {nemo_process.REQUIREMENTS}" in str(raised.value)
    assert nemo_process.REQUIREMENTS.is_file()


def test_an_environment_that_is_not_there_is_told_with_the_commands_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PODCAST_NEMO_PYTHON", raising=False)
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    (file := tmp_path / "a.nemo").touch()
    engine = Sortformer(model=str(file), device="cpu")
    python = tmp_path / "models" / ".nemo" / "bin" / "python"
    commands = f"{sys.executable} -m venv {python.parents[1]} && {python} -m pip install -r {nemo_process.REQUIREMENTS}"
    for attempt in (engine.load, engine.versions):
        with pytest.raises(EngineUnavailable) as raised:
            attempt()
        assert commands in str(raised.value)
        assert "PODCAST_NEMO_PYTHON" in str(raised.value)
        assert "\n" not in str(raised.value)
    assert check_available(engine) == (False, str(raised.value))
    assert engine.devices() == Sortformer(model=str(file)).devices() == []


def test_the_interpreter_is_that_of_the_setting_or_of_the_environment_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (file := tmp_path / "a.nemo").touch()
    monkeypatch.setenv("PODCAST_NEMO_PYTHON", str(tmp_path / "variable" / "bin" / "python"))
    assert f"there is no {tmp_path}/variable/bin/python" in str(Sortformer(model=str(file)).unavailable_reason())
    named = Sortformer(model=str(file), python=str(tmp_path / "setting" / "bin" / "python"))
    assert f"there is no {tmp_path}/setting/bin/python" in str(named.unavailable_reason())


def test_an_interpreter_without_nemo_is_told(tmp_path: Path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(EngineUnavailable, match=r"nemo_toolkit and torch is not installed for .*pip install -r"):
        Sortformer(python=str(python)).versions()


def test_a_model_that_does_not_load_or_is_another_one_is_told(nemo_script: NemoScript, tmp_path: Path):
    with pytest.raises(
        EngineUnavailable, match=r"NeMo cannot load .*scripted.nemo: RuntimeError: the archive is trunc"
    ):
        nemo_script(broken=True).engine().load()
    with pytest.raises(
        EngineUnavailable, match="distinguishes 8 speakers, but sortformer needs a model for 4: set another model"
    ):
        nemo_script(facts={"speakers": 8}).engine().load()
    with pytest.raises(EngineUnavailable, match=r"the Sortformer model .*missing.nemo does not exist"):
        Sortformer(model=str(tmp_path / "missing.nemo")).load()


def test_a_model_of_the_hub_is_found_in_the_models_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = {}
    monkeypatch.setattr(models, "find_model", lambda model: found.get(model.repo))
    monkeypatch.setattr(models, "fetch_model", lambda model: found[model.repo])
    engine = Sortformer()
    assert [m.repo for m in engine.hub_models()] == ["nvidia/diar_streaming_sortformer_4spk-v2.1"]
    assert engine.model_files() == []
    found[engine.model] = tmp_path
    with pytest.raises(EngineUnavailable, match=r"the Sortformer model nvidia/.* does not exist"):
        engine.fetch()
    (tmp_path / "diar_streaming_sortformer_4spk-v2.1.nemo").write_bytes(b"weights")
    engine.fetch()
    assert [f.name for f in engine.model_files()] == ["diar_streaming_sortformer_4spk-v2.1.nemo"]
    other = Sortformer(model="somebody/fine-tuned")
    assert other.hub_models()[0].files == ("*.nemo",)
    found[other.model] = tmp_path
    (tmp_path / "second.nemo").touch()
    with pytest.raises(EngineUnavailable, match=r"has several .nemo files"):
        other.fetch()


def test_it_is_found_by_name_and_says_how_many_speakers_it_knows():
    engine = make_engine("diarizer", "sortformer")
    assert (engine.name, engine.speaker_cap, engine.embedded) == ("sortformer", 4, False)


@pytest.mark.parametrize(
    ("line", "turn"), [("0.560 3.120 speaker_0", (0.56, 3.12, 0)), ("3600.000 3601.500 speaker_3", (3600.0, 3601.5, 3))]
)
def test_nemos_lines_are_read(line: str, turn: tuple[float, float, int]):
    assert nemo_worker.parse(line) == turn
