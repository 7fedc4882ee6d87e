"""Models of the hub: fetched, found, kept at their commit, and checked; against a double of the hub, by the real client."""

import errno
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.engines import model_cache, model_lock, models
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.engines.models import find_model, verify_files
from podcast_assets_tests.doubles.hub import HubDouble, running_hub
from podcast_assets_tests.doubles.hub_client import Client
from podcast_assets_tests.waiting import wait_for

PATIENCE = 600
WEIGHTS = random.Random(0).randbytes(300_000)
FILES = {"config.json": b"{}", "model.bin": WEIGHTS, "vocabulary.txt": b"a\nb\n", "README.md": b"not needed"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDouble]:
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="module")
def shared_client(hub: HubDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    client = Client.start(hub, tmp_path_factory.mktemp("client"))
    yield client
    client.end()


@pytest.fixture
def client(hub: HubDouble, shared_client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The client with an empty models folder, which is also that of the test's own process."""
    hub.requests.clear()
    hub.faults.clear()
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "huggingface"))
    shared_client.folder = tmp_path / "models"
    return shared_client


@pytest.fixture
def model(hub: HubDouble, request: pytest.FixtureRequest) -> HubModel:
    """A model of its own for each test, with one commit."""
    name = f"acme/{request.node.name.replace('_', '-')}"
    hub.commit_model(name, FILES)
    return HubModel(name, ("config.json", "model.bin", "vocabulary.*", "preprocessor*"), 1, "MIT")


def test_what_is_needed_is_fetched_and_written_down(client: Client, hub: HubDouble, model: HubModel) -> None:
    assert find_model(model) is None
    fetched = client.fetch(model)
    folder = Path(fetched["folder"])
    needed = {k: v for k, v in FILES.items() if k != "README.md"}
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == needed
    assert fetched["missing"] == fetched["received"] == sum(map(len, needed.values()))
    assert find_model(model) == folder

    entry = model_lock.read_lock_file(client.folder)[model.repo]
    assert (entry.commit, entry.licence) == (hub.repos[model.repo].refs["main"], "mit")
    assert {k: f.bytes for k, f in entry.files.items()} == {k: len(v) for k, v in needed.items()}
    assert [d for _, _, d in verify_files([(model.repo, entry)]) if d] == []

    hub.requests.clear()
    assert client.fetch(model)["folder"] == str(folder)
    assert hub.requests == [], "what is here is asked of nobody"


def test_a_connection_that_breaks_is_made_again(client: Client, hub: HubDouble, model: HubModel) -> None:
    for cut in (100_000, 0, 50_000):
        hub.fault("GET", "model.bin", cut=cut)
    folder = Path(client.fetch(model)["folder"])
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    ranges = [r.range for r in hub.downloads("model.bin")]
    assert ranges == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]


def test_a_process_that_dies_leaves_its_part_to_the_next(hub: HubDouble, client: Client, model: HubModel) -> None:
    hub.fault("GET", "model.bin", cut=len(WEIGHTS) // 2, hold=True)
    dying = Client.start(hub, client.folder.parent)
    dying.send("fetch", model)

    def begun() -> bool:
        assert dying.process.poll() is None
        return any(part.stat().st_size for part in client.folder.glob("*/blobs/*.incomplete"))

    wait_for("the beginning of the download", begun, patience=PATIENCE, every=0.01)
    assert find_model(model) is None
    client.send("fetch", model)
    client.wait_for_message("waiting for another process that fetches")
    assert len(hub.downloads("model.bin")) == 1, "the other process waits as long as this one lives"
    dying.end()
    fetched = client.answer()
    assert (Path(fetched["folder"]) / "model.bin").read_bytes() == WEIGHTS
    first, second = hub.downloads("model.bin")
    assert first.range is None
    assert second.range
    assert int(second.range.strip("bytes=-")) > 0
    assert fetched["missing"] < len(WEIGHTS)


def test_a_model_that_is_only_partly_there_is_not_found(client: Client, model: HubModel) -> None:
    folder = Path(client.fetch(model)["folder"])
    (folder / "vocabulary.txt").unlink()
    assert find_model(model) is None
    assert client.fetch(model)["folder"] == str(folder)
    assert find_model(model) == folder
    assert find_model(replace(model, files=(*model.files, "*.md"))) is None, "more is needed than was fetched"
    with (folder / "model.bin").resolve().open("r+b") as f:
        f.truncate(1000)
    assert find_model(model) is None
    more = client.fetch(replace(model, files=("*.md",)))["folder"]
    assert (Path(more) / "README.md").read_bytes() == FILES["README.md"]


def test_the_commit_is_kept_until_the_newest_is_asked_for(client: Client, hub: HubDouble, model: HubModel) -> None:
    first = Path(client.fetch(model)["folder"])
    newest = hub.commit_model(model.repo, FILES | {"model.bin": WEIGHTS[::-1]})
    assert first.name != newest
    assert client.fetch(model)["folder"] == str(first)
    shutil.rmtree(first.parents[1])
    assert client.fetch(model)["folder"] == str(first), "the lock file remembers what was taken"

    hub.requests.clear()
    second = Path(client.fetch(model, "update")["folder"])
    assert second.name == newest
    assert (second / "model.bin").read_bytes() == WEIGHTS[::-1]
    assert hub.downloads("vocabulary.txt") == [], "what did not change is not downloaded again"
    assert find_model(model) == second
    assert first.is_dir(), "whoever works with the old one is not disturbed"


def test_a_pinned_revision_stays(client: Client, hub: HubDouble, model: HubModel) -> None:
    pinned = replace(model, revision=hub.repos[model.repo].refs["main"])
    newest = hub.commit_model(model.repo, FILES | {"config.json": b"{1}"})
    assert Path(client.fetch(pinned, "update")["folder"]).name == pinned.revision
    assert Path(client.fetch(model)["folder"]).name == newest
    assert find_model(pinned) != find_model(model)
    gone = client.fetch(replace(model, revision="f" * 40))["error"]
    assert gone == (
        f"EngineUnavailable: the hub no longer has this revision of {model.repo}: the pinned revision is gone"
    )


def test_a_gated_model_says_which_page_to_open_and_which_variable_to_set(
    client: Client, hub: HubDouble, model: HubModel
) -> None:
    hub.repos[model.repo].gated = "auto"
    hub.readers.add("hf_accepted")
    page = f"{hub.url}/{model.repo}"
    gated = f"EngineUnavailable: {model.repo} is gated: "
    assert client.fetch(model)["error"] == (
        f"{gated}set HF_TOKEN, and accept its terms on {page} with the account of the token"
    )
    refused = f"the token has no access to it yet; accept its terms on {page} with the account of the token"
    assert client.fetch(model, token="hf_other")["error"] == gated + refused
    assert client.fetch(model, "check", token="hf_other")["available"][0] is False
    assert client.fetch(replace(model, files=("*.bin",)), "check")["available"][0] is False
    assert client.fetch(model, "check", token="hf_accepted")["available"] == [
        True,
        f"the model {model.repo} can be downloaded, about 1 MB",
    ]
    assert find_model(model) is None
    assert "folder" in client.fetch(model, token="hf_accepted")
    assert client.fetch(model, "check")["available"] == [True, f"the model {model.repo} is in {client.folder}"]


def test_what_is_not_available_gets_one_line(client: Client, hub: HubDouble, model: HubModel) -> None:
    def error(model: HubModel) -> str:
        told = client.fetch(model)["error"]
        assert "\n" not in told
        return told.removeprefix("EngineUnavailable: ")

    assert error(replace(model, repo="acme/nothing")).startswith("the hub has no model acme/nothing, or it is private")
    assert error(replace(model, files=("no.such",))) == (
        f"{model.repo} has none of the files no.such (commit {hub.repos[model.repo].refs['main']})"
    )
    tree = hub.repos[model.repo].commits[hub.repos[model.repo].refs["main"]].tree
    true_entry = tree["model.bin"]
    tree["model.bin"] = replace(true_entry, size=10**17)
    assert error(model).startswith(f"{model.repo} needs 100000000000 MB and {client.folder} has")
    tree["model.bin"] = true_entry
    hub.fault("GET", "model.bin", cut=0, times=1000)
    assert error(model).startswith(f"{model.repo} is not available from {hub.url}: ")
    hub.faults.clear()
    for status, message, told in (
        (
            401,
            "Invalid credentials in Authorization header",
            f"the hub rejects the token for {model.repo}: set HF_TOKEN",
        ),
        (403, "not for you", f"the hub denies access to {model.repo}: not for you"),
        (429, "slowly", "the hub limits requests for now (status 429)"),
        (503, "down", f"the hub answers 503 for {model.repo}: try again later"),
    ):
        hub.fault("", "", status, message=message, times=1000)
        assert error(model).startswith(told)
        hub.faults.clear()
    client.folder.rename(client.folder.with_name("other"))
    client.folder.write_text("a file")
    assert error(model).startswith(f"the models folder {client.folder} is not writable")


def test_trouble_with_the_disk_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from podcast_assets.engines.hub_download import explain_error

    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path))
    model = HubModel("a/b", ("*",), 1, "mit")
    full = OSError(errno.ENOSPC, "No space left on device")
    assert (
        explain_error(full, model)
        == f"the disk of {tmp_path} is full: free some space, or set PODCAST_MODELS to another folder"
    )
    locked = OSError(errno.EROFS, "Read-only file system")
    assert explain_error(locked, model).startswith(
        f"the models folder {tmp_path} is not writable (Read-only file system)"
    )


def test_files_outside_of_the_folder_are_left_alone(client: Client, hub: HubDouble, model: HubModel) -> None:
    outside = client.folder.parent / "outside"
    outside.write_text("mine")
    stored = model_cache.snapshot_folder(client.folder, model.repo, hub.repos[model.repo].refs["main"])
    hub.commit_model(model.repo, FILES | {f"{'../' * len(stored.parts)}{outside}": b"theirs", str(outside): b"theirs"})
    found = Path(client.fetch(replace(model, files=("*",)))["folder"])
    assert sorted(f.name for f in found.rglob("*")) == sorted(FILES)
    assert outside.read_text() == "mine"


def test_a_damaged_download_is_removed_and_comes_again(client: Client, hub: HubDouble, model: HubModel) -> None:
    hub.fault("GET", "model.bin", damage=True)
    told = client.fetch(model)["error"]
    assert told.startswith(f"EngineUnavailable: model.bin of {model.repo} has a wrong checksum")
    assert find_model(model) is None
    assert (Path(client.fetch(model)["folder"]) / "model.bin").read_bytes() == WEIGHTS


def test_offline_only_this_machine_is_looked_into(client: Client, hub: HubDouble, model: HubModel) -> None:
    here = replace(model, repo=f"{model.repo}-here")
    hub.commit_model(here.repo, FILES)
    folder = client.fetch(here)["folder"]
    hub.requests.clear()
    told = client.fetch(model, offline=True)["error"]
    assert told.startswith(f"EngineUnavailable: {model.repo} is neither in {client.folder} nor in ")
    assert "HF_HUB_OFFLINE" in told
    assert client.fetch(model, "check", offline=True)["available"][0] is False
    assert client.fetch(here, offline=True)["folder"] == folder
    assert "cannot be updated, because HF_HUB_OFFLINE is set" in client.fetch(here, "update", offline=True)["error"]
    assert hub.requests == []


def test_a_model_in_the_cache_of_other_programs_is_used_and_its_commit_kept(
    client: Client, model: HubModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = client.fetch(model)["folder"].rsplit("/", 1)[1]
    cache = client.folder.rename(client.folder.with_name("huggingface"))
    (cache / model_lock.NAME).unlink()
    stored = model_cache.model_folder(cache, model.repo)
    (stored / "refs").mkdir(exist_ok=True)
    (stored / "refs/main").write_text(commit)
    folder = stored / "snapshots" / commit
    assert find_model(model) == models.fetch_model(model) == folder
    assert set(model_lock.read_lock_file(client.folder)[model.repo].files) == {
        "config.json",
        "model.bin",
        "vocabulary.txt",
    }
    (stored / "refs/main").write_text("f" * 40)
    assert find_model(model) == folder, "another program took a newer one"

    (client.folder / model_lock.NAME).unlink()
    (stored / "refs/main").write_text(commit)
    (folder / "vocabulary.txt").unlink()
    assert find_model(model) is None, "the cache's own listing tells that a file is missing"
    older = cache.rename(cache.with_name("older"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(older))
    shutil.rmtree(model_cache.model_folder(older, model.repo) / "trees")
    folder = model_cache.snapshot_folder(older, model.repo, commit)
    assert find_model(replace(model, revision=commit)) == folder, "what is named without a wildcard is there"
    (folder / "config.json").unlink()
    assert find_model(model) is None


def test_verify_names_the_files_that_differ(client: Client, model: HubModel) -> None:
    folder = Path(client.fetch(model)["folder"])
    with (folder / "model.bin").resolve().open("r+b") as f:
        f.seek(1234)
        f.write(bytes([WEIGHTS[1234] ^ 1]))
    (folder / "config.json").unlink()
    found = {d.file: d for _, _, d in verify_files(model_lock.read_lock_file(client.folder).items()) if d}
    assert set(found) == {"config.json", "model.bin"}
    assert found["config.json"].problem == "is missing"
    assert found["model.bin"].problem.startswith("has the SHA-256 ")
    found["model.bin"].path.unlink()
    client.fetch(model)
    assert [d for _, _, d in verify_files(model_lock.read_lock_file(client.folder).items()) if d] == []


def test_a_lock_file_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path))
    for content in ("", "[]", '{"format": 1, "models": {"a/b": {}}}'):
        (tmp_path / model_lock.NAME).write_text(content)
        with pytest.raises(Misconfigured, match=r"cannot be read .*: delete it, and fetch the models again"):
            find_model(HubModel("a/b", ("*",), 1, "mit"))
    (tmp_path / model_lock.NAME).write_text('{"format": 2, "models": {}}')
    with pytest.raises(Misconfigured, match="another release"):
        find_model(HubModel("a/b", ("*",), 1, "mit"))


def test_the_models_folder_is_the_setting_or_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_MODELS", str(tmp_path))
    assert model_cache.models_folder() == tmp_path
    monkeypatch.delenv("PODCAST_MODELS")
    monkeypatch.setenv("podcast_models", str(tmp_path / "small"))
    assert model_cache.models_folder() == tmp_path / "small", "variables are read as those of all settings are"
    monkeypatch.delenv("podcast_models")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert model_cache.models_folder() == tmp_path / "podcast-assets/models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_cache.models_folder() == tmp_path / ".cache/podcast-assets/models"


def test_a_file_that_is_not_the_known_one_is_not_downloaded(client: Client, hub: HubDouble, model: HubModel) -> None:
    refused = client.fetch(replace(model, checksums=(("model.bin", "0" * 64),), extra="offline"))["error"]
    assert re.search(r"model.bin of acme/.* is not the one that is known.*podcast-assets\[offline\]", refused)
    assert hub.downloads("model.bin") == []
