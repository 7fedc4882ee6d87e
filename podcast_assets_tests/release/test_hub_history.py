"""What was taken down goes from all commits of a repository: by the real client, against a double of the Hub."""

import hashlib

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from podcast_assets.release.published import Part, PublishedShard
from podcast_assets.release.targets.hub_history import note_superseded, purge_history, superseded_objects
from podcast_assets.release.targets.protocol import TargetFile
from podcast_assets.store.store import Store
from podcast_assets_tests.doubles.hub import TOKEN, HubDouble, reading
from podcast_assets_tests.doubles.hub.repos import Repo

REPO = "tester/speech"
OLD, NEW, OTHER = (hashlib.sha256(data).hexdigest() for data in (b"old", b"new", b"other"))


@pytest.fixture
def repo(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """A repository with a shard that was replaced: OLD by NEW. Its listings come one entry at a time."""
    monkeypatch.setattr(reading, "PAGE", 1)
    found = hub.repos[REPO] = Repo("datasets")
    for shard in (b"old", b"new"):
        files = {"a.tar": shard, "b.tar": b"other"}
        found.commit("main", "commit", {path: hub.blobs.add(path, data) for path, data in files.items()})
    return found


def api(hub: HubDouble) -> HfApi:
    return HfApi(endpoint=hub.url, token=TOKEN)


def objects(repo: Repo) -> set[str]:
    """Large files of all commits."""
    return {entry.sha256 for commit in repo.commits.values() for entry in commit.tree.values()}


def deletions(hub: HubDouble) -> int:
    return sum(request.path.endswith("/lfs-files/batch") for request in hub.requests)


def test_what_was_superseded_goes_and_nothing_else(hub: HubDouble, repo: Repo, store: Store) -> None:
    note_superseded(store, REPO, [OLD])
    done = purge_history(store, api(hub), REPO)
    assert (done.removed, done.waiting) == (1, 0)
    assert objects(repo) == {NEW, OTHER}
    assert purge_history(store, api(hub), REPO).removed == 0
    assert deletions(hub) == 1


def test_what_the_head_still_has_is_never_deleted(hub: HubDouble, repo: Repo, store: Store) -> None:
    repo.commit("main", "again", {"c.tar": hub.blobs.add("c.tar", b"old")})
    note_superseded(store, REPO, [OLD])
    done = purge_history(store, api(hub), REPO)
    assert (done.removed, done.waiting, deletions(hub)) == (0, 1, 0)
    repo.delete("main", "c.tar")
    assert purge_history(store, api(hub), REPO).removed == 1


def test_a_refusal_is_raised_and_made_up_for_by_the_next_call(hub: HubDouble, repo: Repo, store: Store) -> None:
    note_superseded(store, REPO, [OLD])
    hub.fault("POST", "/lfs-files/batch", 403)
    with pytest.raises(HfHubHTTPError):
        purge_history(store, api(hub), REPO)
    assert objects(repo) == {OLD, NEW, OTHER}
    assert purge_history(store, api(hub), REPO).removed == 1


def test_an_object_that_never_came_is_removed_from_the_list(hub: HubDouble, repo: Repo, store: Store) -> None:
    note_superseded(store, REPO, ["d" * 64])
    assert purge_history(store, api(hub), REPO).waiting == 0
    assert deletions(hub) == 0


def test_files_of_the_batch_that_a_release_replaces_are_superseded() -> None:
    def shard(path: str, *batches: str) -> PublishedShard:
        parts = tuple(Part(b, "data/en/train/audio_000000.tar", "d", 1) for b in batches)
        return PublishedShard(path, "s", 1, 1, 1.0, "en", "train", "segments", parts)

    before = [shard("data/en/train/audio_000000.tar", "x", "y"), shard("data/en/train/audio_000001.tar", "z")]
    hashes: dict[str, str | None] = {
        "data/en/train/audio_000000.tar": "1",
        "data/en/train/audio_000001.tar": "2",
        "metadata/en/x.parquet": "3",
        "metadata/en/y.parquet": "4",
        "episodes/x.parquet": None,
        "README.md": None,
    }
    head = {path: TargetFile(1, sha256) for path, sha256 in hashes.items()}
    after = {
        "data/en/train/audio_000000.tar": "9",
        "data/en/train/audio_000001.tar": "8",
        "metadata/en/x.parquet": "7",
        "metadata/en/y.parquet": "6",
    }
    assert superseded_objects(before, head, after, ["x"]) == {"1", "3"}
    assert superseded_objects(before, head, {p: s for p, s in hashes.items() if s}, ["x"]) == set()
    assert superseded_objects(before, head, {}, ["z"]) == {"2"}
