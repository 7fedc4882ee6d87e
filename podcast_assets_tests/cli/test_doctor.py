"""Doctor: each fault is provoked, and must be reported with a remedy."""

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from upath import UPath

from podcast_assets.cli.doctor import clip, engines, examine, gpu, hub, machine, places
from podcast_assets.cli.doctor.engines import ProfileEngine
from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.speech.types import EpisodeSpeech, Transcript, TranscriptionResult, Turn
from podcast_assets.stages.profiles import make_profile
from podcast_assets.store.store import Store
from podcast_assets_tests import forked, miniature
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.doubles.hub import running_hub

MODEL = HubModel("acme/model", ("model.bin",), 12, "mit", gated=True)
GB = 10**9


class Toy(Engine):
    """An engine of the tests with a model of the hub, which loads if it is told what to."""

    name: ClassVar[str] = "toy"
    loaded: Any = None

    def hub_models(self) -> list[HubModel]:
        return [MODEL]

    def load(self, device: str | None = None) -> Any:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


class Unpacked(Toy):
    """An engine whose packages nobody has."""

    name: ClassVar[str] = "unpacked"
    packages: ClassVar[tuple[str, ...]] = ("numpy", "no-such-package")
    extra: ClassVar[str | None] = "toys"


class OnGpu(Toy):
    """An engine that is to compute on a GPU."""

    name: ClassVar[str] = "on-gpu"
    device: str = "cuda"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No models but those of the test, and a hub that is not asked."""
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "huggingface"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(store=str(folder / "store"), dagster_home=folder / "home", **given)


def told(
    engine: Engine, *, role: engines.Role = "needed", model: tuple[bool, str] = (True, ""), gpus: int = 0
) -> Finding:
    return engines.examine(ProfileEngine("transcriber", engine, role), {MODEL: model}, gpus)


# -- all of it ----------------------------------------------------------------------------------------------------------


def test_the_demonstration_can_run(place: Place) -> None:
    result = place.command("doctor", "--json", "--profile", "demo", PODCAST_ENGINES="{}")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["profile"], report["can_run"]) == ("demo", True)
    found = {f["what"]: f for f in report["findings"]}
    (transcribed,) = [what for what in found if what.startswith("transcriber faster-whisper transcribes it")]
    assert float(transcribed.split("WER ")[1].rstrip(")")) <= 0.25
    assert any(what.startswith("auto would take embedded, because ") for what in found)
    needed = [
        w for w in found if w.startswith(("diarizer embedded: ", "transcriber faster-whisper: ", "scorer dnsmos: "))
    ]
    assert len(needed) == 3
    assert report["engines"]["faster-whisper"]["model"] == "tiny.en"
    assert list(place.folder.iterdir()) == [], "it leaves nothing behind"


def run_patient_doctor() -> None:
    """Run `podcast-assets doctor` without its time limit for the hub, which a busy machine exceeds."""
    hub.SECONDS = forked.PATIENCE
    forked.run_command("doctor", "--quick", "--json", "--profile", "cpu")


def test_a_gated_model_keeps_the_profile_from_running(place: Place) -> None:
    with running_hub(place.folder / "hub") as double:
        double.commit_model(
            "acme/whisper", dict.fromkeys(("config.json", "model.bin", "tokenizer.json"), b"{}"), gated=True
        )
        environment = place.environment(
            HF_HUB_OFFLINE="",
            HF_ENDPOINT=double.url,
            HF_HOME=str(place.folder / "hf"),
            HF_TOKEN="hf_other",
            PODCAST_MODELS=str(place.folder / "models"),
            PODCAST_WHISPER_MODEL="acme/whisper",
            PODCAST_ENGINES="{}",
        )
        refused = forked.start(run_patient_doctor, environment=environment, cwd=place.folder)
        assert refused.wait() == 1, refused.err
    findings = json.loads(refused.out)["findings"]
    (blocking,) = [f for f in findings if f["blocks"]]
    assert blocking["what"].startswith(
        "transcriber faster-whisper: acme/whisper is gated: the token has no access to it yet"
    )
    assert f"accept its terms on {double.url}/acme/whisper" in blocking["what"]
    assert f"{double.url} answers" in [f["what"] for f in findings]


def test_a_model_that_is_not_here_keeps_the_profile_from_running(tmp_path: Path) -> None:
    report = examine(settings(tmp_path, profile="cpu"), load=False)
    assert not report.can_run
    assert report.verdict == "the profile cpu cannot run on this machine: 1 problem to fix"
    (blocking,) = [f for f in report.findings if f.blocks]
    assert "faster-whisper-small is not on this machine, and HF_HUB_OFFLINE is set" in blocking.what
    assert examine(settings(tmp_path, profile="cpu", whisper_model=str(miniature.MODEL)), load=False).can_run


def test_settings_of_which_no_profile_can_be_made_are_told(tmp_path: Path) -> None:
    report = examine(settings(tmp_path, profile="cpu", routes="*=no-such-engine"), load=False)
    assert not report.can_run
    assert "no transcriber is called 'no-such-engine'" in report.findings[0].what
    assert report.to_json()["profile"] is None


# -- engines ------------------------------------------------------------------------------------------------------------


def test_a_missing_package_names_the_extra_and_blocks_only_where_it_is_needed() -> None:
    finding = told(Unpacked())
    assert finding.what == "transcriber unpacked: no-such-package is not installed"
    assert (finding.state, finding.todo, finding.blocks) == ("missing", "pip install 'podcast-assets[toys]'", True)
    assert not told(Unpacked(), role="fallback").blocks
    assert not told(Unpacked(), role="other").blocks


def test_a_model_that_is_refused_is_missing_and_one_to_download_a_warning() -> None:
    refused = told(Toy(), model=(False, "acme/model is gated: accept its terms"))
    assert (refused.state, refused.blocks) == ("missing", True)
    assert refused.what == "transcriber toy: acme/model is gated: accept its terms"
    waiting = told(Toy(), model=(True, "the model acme/model can be downloaded, about 12 MB"))
    assert (waiting.state, waiting.todo, waiting.blocks) == ("warning", "podcast-assets models fetch acme/model", False)


def test_an_engine_for_gpus_needs_one() -> None:
    assert told(OnGpu(), gpus=0).blocks
    assert not told(OnGpu(), gpus=1).blocks


def test_what_only_takes_over_is_no_condition() -> None:
    profile = make_profile(Settings(routes="*=faster-whisper>pocketsphinx", whisper_model="x"), "cpu", "asked for")
    roles = {m.engine.name: m.role for m in engines.profile_engines(profile) if m.kind == "transcriber"}
    assert (roles["faster-whisper"], roles["pocketsphinx"]) == ("needed", "fallback")
    assert {r for n, r in roles.items() if n not in ("faster-whisper", "pocketsphinx")} <= {"other"}


def test_an_engine_that_does_not_load_says_why() -> None:
    broken = Toy(loaded=EngineUnavailable("the checkpoint is broken\nat byte 3"))
    worker, trouble = engines.load(broken, "diarizer toy", needed=True)
    assert worker is None
    assert trouble
    assert trouble.blocks
    assert trouble.what == "diarizer toy: cannot be loaded: EngineUnavailable: the checkpoint is broken"
    _, full = engines.load(Toy(loaded=RuntimeError("CUDA out of memory")), "diarizer toy", needed=True)
    assert full
    assert "another process may use the memory" in (full.todo or "")
    assert engines.load(Toy(loaded="worker"), "diarizer toy", needed=True) == ("worker", None)


# -- a known clip -------------------------------------------------------------------------------------------------------

CLIP = clip.Clip(np.zeros(16_000, np.float32), (Turn(0, 0.5, "A"), Turn(0.5, 1, "B")), "one two three four")


class Says:
    """A transcriber double that says what it is told to, whatever it hears."""

    def __init__(self, *texts: str, error: Exception | None = None) -> None:
        self._said = error or [Transcript(text) for text in texts]

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        for speech in work:
            yield TranscriptionResult(speech, self._said)


@pytest.mark.parametrize(
    ("texts", "state", "what"),
    [
        (("One, two.", "Three four!"), "ok", "toy transcribes it (WER 0.00)"),
        (("one too", "three four"), "ok", "toy transcribes it (WER 0.25)"),
        (("one", ""), "warning", "toy makes many errors (WER 0.75): 'one'"),
        (("", ""), "missing", "toy returns no text for it"),
        (("!!!!", "!!!!!!"), "missing", "toy returns a different text (WER 1.00): '!!!! !!!!!!'"),
    ],
)
def test_what_is_heard_is_compared_with_what_is_said(texts: tuple[str, ...], state: str, what: str) -> None:
    finding = clip.examine("toy", Says(*texts), CLIP, needed=True)
    assert (finding.state, finding.what, finding.blocks) == (state, what, state == "missing")
    assert not clip.examine("toy", Says(*texts), CLIP, needed=False).blocks


def test_a_transcriber_that_fails_is_told() -> None:
    error = RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")
    finding = clip.examine("toy", Says(error=error), CLIP, needed=True)
    assert finding.blocks
    assert finding.what == f"toy fails on it: RuntimeError: {error}"


def test_the_shipped_clip_has_speech_where_its_turns_are() -> None:
    shipped = clip.known_clip()
    assert len(shipped.text.split()) > 20
    levels = [np.abs(shipped.audio[int(t.start * 16_000) : int(t.end * 16_000)]).mean() for t in shipped.turns]
    assert min(levels) > 0.01


# -- GPUs ---------------------------------------------------------------------------------------------------------------


def gpus(line: str, usable: int | None = 1, cublas: str | None = None) -> dict[str, Finding]:
    card = gpu.parse_card(line)
    assert card
    return {f.what: f for f in gpu.examine([card], usable, cublas, needed=True)}


def test_a_gpu_that_works() -> None:
    found = gpus("NVIDIA H200, 575.57.08, 143771, 9.0")
    assert {f.state for f in found.values()} == {"ok"}
    assert "NVIDIA H200: 151 GB, compute capability 9.0, driver 575.57.08" in found


def test_drivers_and_gpus_that_do_not_work() -> None:
    mute = gpus("NVIDIA L4, 550.54.15, 23034, 8.9")
    (told,) = [f for f in mute.values() if f.state != "ok"]
    assert "empty transcripts" in told.what
    assert not told.blocks, "the known clip decides"
    (old,) = [f for f in gpus("Tesla M40, 535.1, 11448, 5.2").values() if f.state != "ok"]
    assert old.blocks
    unseen = gpus("NVIDIA L4, 575.1, 23034, 8.9", usable=0)["CTranslate2 can use 0 of 1 GPUs"]
    assert unseen.blocks
    library = gpus("NVIDIA L4, 575.1, 23034, [N/A]", cublas="no such file")[
        "libcublas.so.12 cannot be opened: no such file"
    ]
    assert (library.todo, library.blocks) == ("pip install 'podcast-assets[cuda]'", True)


def test_no_gpu_is_fine_unless_the_profile_needs_one() -> None:
    (fine,) = gpu.examine([], 0, "no such file", needed=False)
    assert (fine.state, fine.blocks) == ("ok", False)
    assert gpu.examine([], 0, None, needed=True)[0].blocks
    assert gpu.examine("nvidia-smi does not work: it hangs", 0, None, needed=True)[0].blocks


def test_a_library_that_only_lies_in_its_wheel_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if gpu.cublas_problem() is None:
        pytest.skip("libcublas.so.12 can be opened here")
    library = tmp_path / "nvidia/cublas/lib" / gpu.CUBLAS
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    assert f"put {library.parent} into LD_LIBRARY_PATH" in str(gpu.cublas_problem())


# -- the hub ------------------------------------------------------------------------------------------------------------


def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    never = threading.Event()
    clock = hub.TimeLimit(0.05)
    finding = hub.reachable(clock, never.wait)
    assert (finding.state, finding.blocks) == ("warning", False)
    assert "no answer in" in finding.what
    assert clock.exceeded
    assert hub.reachable(clock, never.wait).state == "warning"
    monkeypatch.setattr("podcast_assets.engines.models.check_available", lambda model, seconds: never.wait())
    assert hub.check_available(clock, [MODEL]) == {
        MODEL: (False, "acme/model is not on this machine, and the hub did not answer in time")
    }
    never.set()


def test_a_hub_that_refuses_and_one_that_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        raise ConnectionError("Name or service not known")

    assert "HF_HUB_OFFLINE is set" in hub.reachable(hub.TimeLimit(hub.SECONDS), refuse).what
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    finding = hub.reachable(hub.TimeLimit(hub.SECONDS), refuse)
    assert finding.what.endswith("cannot be reached: Name or service not known")
    assert hub.reachable(hub.TimeLimit(hub.SECONDS), lambda: True).state == "ok"


# -- places -------------------------------------------------------------------------------------------------------------


class ReadOnly(Store):
    """A store on a file system that is mounted read-only."""

    def write(self, key: str, data: bytes) -> None:
        raise OSError(30, "Read-only file system")


class Forgetful(Store):
    """A store that does not keep what is written."""

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data[1:])


def test_a_store_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    assert places.store(Store.at(tmp_path / "store")).state == "ok"
    later = places.store(Store.at(tmp_path / "not/yet"))
    assert (later.state, later.what.endswith("(it will be created)")) == ("ok", True)
    assert [p.name for p in tmp_path.rglob("*")] == ["store"]


@pytest.mark.store
def test_a_bucket_that_can_be_written_and_one_that_cannot(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places.store(Store.at(bucket)).state == "ok"
    assert list(Store.at(bucket).list("")) == []
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    refused = places.store(Store.at(bucket))
    assert (refused.state, refused.blocks) == ("missing", True)
    assert "the keys are wrong" in refused.what
    assert "wrong-secret" not in refused.what


def test_stores_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.joinpath("store").mkdir()
    locked = places.store(ReadOnly(UPath(tmp_path / "store")))
    assert (locked.state, locked.blocks) == ("missing", True)
    assert "Read-only file system" in locked.what
    assert "PODCAST_STORE" in (locked.todo or "")
    assert places.store(Forgetful(UPath(tmp_path / "store"))).blocks
    (tmp_path / "file").write_text("")
    assert places.store(Store.at(tmp_path / "file")).blocks
    assert places.store(Store.at(tmp_path / "file/store")).blocks
    assert list((tmp_path / "store").iterdir()) == []


def test_dagster_home_and_its_telemetry(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert places.dagster_home(settings(tmp_path)).state == "ok"
    home.write_text("a file")
    assert places.dagster_home(settings(tmp_path)).blocks
    assert places.dagster_home(settings(home)).blocks, "it cannot be made inside a file"
    home.unlink()
    home.mkdir()
    assert [f.state for f in places.telemetry(settings(tmp_path), {})] == ["ok", "ok", "ok"]
    for text, state in (("telemetry:\n  enabled: false\n", "ok"), ("run_queue: {}\n", "warning"), ("a: [", "warning")):
        (home / "dagster.yaml").write_text(text)
        assert places.telemetry(settings(tmp_path), {})[0].state == state


# -- the machine --------------------------------------------------------------------------------------------------------


def test_memory_and_disk_space(tmp_path: Path) -> None:
    assert machine.memory_and_cores(16 * GB, 4).state == "ok"
    assert machine.memory_and_cores(2 * GB, 4).state == "warning"
    assert machine.memory_and_cores(None, 4).state == "ok"
    assert [machine.disk_space("store", tmp_path, free * GB).state for free in (100, 5)] == ["ok", "warning"]
    assert machine.disk_space("store", tmp_path, 1000).blocks
    assert machine.nearest_existing(tmp_path / "a/b/c") == tmp_path
    assert (machine.memory() or GB) > GB / 10
    assert machine.available_cores() >= 1
