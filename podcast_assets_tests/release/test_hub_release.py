"""Releases to a repository, by the real client: one commit or none, by LFS and by Xet, whatever the Hub answers."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.release.assemble import DamagedShard
from podcast_assets.release.options import ReleaseOptions
from podcast_assets.release.published import parse_shard_list
from podcast_assets.release.release import ReleaseResult, release
from podcast_assets.release.targets.hub import HubTarget
from podcast_assets.store.store import Store
from podcast_assets_tests.doubles.hub import TOKEN, HubDouble, running_hub
from podcast_assets_tests.release.sealed_store import seal, take_down

pytestmark = pytest.mark.release

REPO = "tester/talk"
OPTIONS = ReleaseOptions("all", "cc-by", shard_bytes=80_000, codec="flac")


def target(hub: HubDouble, **how: object) -> HubTarget:
    return HubTarget(REPO, endpoint=hub.url, token=TOKEN, **how)  # type: ignore[arg-type]


def publish(store: Store, hub: HubDouble, **how: object) -> ReleaseResult:
    return release(store, target(hub, **how), OPTIONS)


def keys(files: dict[str, bytes]) -> list[str]:
    found = []
    for path, data in files.items():
        if path.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                found += [m.name.removesuffix(".json") for m in tar if m.name.endswith(".json")]
    return found


def assert_whole(files: dict[str, bytes], samples: int) -> None:
    """The list tells of every shard, and of none that is not there."""
    listed = {s.path: (s.sha256, s.bytes) for s in parse_shard_list(files["shards.jsonl"])}
    assert listed == {p: (hashlib.sha256(d).hexdigest(), len(d)) for p, d in files.items() if p.endswith(".tar")}
    found = keys(files)
    assert len(found) == len(set(found)) == samples


def test_a_release_is_one_commit_with_a_tag(store: Store, hub: HubDouble) -> None:
    for batch in ("b1", "b2", "b3"):
        seal(store, batch)
    done = publish(store, hub)
    assert_whole(hub.files(REPO), 18)
    assert len(hub.commits(REPO)) == 1 and "18 segments" in hub.commits(REPO)[0]
    assert hub.repos[REPO].private
    assert hub.repos[REPO].tags == {"r0001": done.revision} and done.tag == "r0001"


def test_the_same_again_makes_no_commit_and_sends_no_byte(store: Store, hub: HubDouble) -> None:
    seal(store, "b1")
    publish(store, hub)
    before = hub.uploaded()
    hub.requests.clear()
    again = publish(store, hub)
    assert not again.changed and again.tag == "r0001"
    assert hub.uploaded() == 0 and before > 24_000
    assert {r.method for r in hub.requests} <= {"GET", "HEAD"}
    assert len(hub.commits(REPO)) == 1


def test_a_store_that_was_wiped_and_sealed_again_sends_no_byte(store: Store, hub: HubDouble, tmp_path: Path) -> None:
    seal(store, "b1")
    publish(store, hub)
    fresh = Store.at(tmp_path / "fresh")
    seal(fresh, "b1", version="v9")
    assert not publish(fresh, hub).changed


def test_a_change_of_scores_sends_tables_and_no_shard(store: Store, hub: HubDouble) -> None:
    rows = seal(store, "b1", audio_bytes=100_000)
    publish(store, hub)
    hub.requests.clear()
    from podcast_assets.store.commits import CommittedTable, commit
    from podcast_assets.store.schema import FAILURES, PROVENANCE, empty_table

    provenance = CommittedTable.read(store, "hf_shards", "b1").provenance
    assert provenance.schema == empty_table(PROVENANCE).schema
    commit(store, "hf_shards", "b1", rows.with_columns(dnsmos_ovrl=3.0), provenance, empty_table(FAILURES))
    done = publish(store, hub)
    assert done.changed and (done.new, done.anew, done.kept) == ([], [], 1)
    assert hub.uploaded() < 100_000


def test_an_excluded_episode_changes_its_shard_alone(store: Store, hub: HubDouble) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch, audio_bytes=9_000)
    publish(store, hub)
    before = hub.files(REPO)
    seal(store, "b1", audio_bytes=9_000, licenses={"one": None})
    hub.requests.clear()
    done = publish(store, hub)
    after = hub.files(REPO)
    assert done.anew == ["data/en/train/audio_000000.tar"]
    assert after["data/en/train/audio_000001.tar"] == before["data/en/train/audio_000001.tar"]
    assert_whole(after, 9)
    assert hub.repos[REPO].tags.keys() == {"r0001", "r0002"}


def test_by_xet(store: Store, tmp_path: Path) -> None:
    with running_hub(tmp_path / "xet", xet=True) as hub:
        seal(store, "b1")
        publish(store, hub)
        assert_whole(hub.files(REPO), 6)
        assert not any("/_lfs/" in r.path for r in hub.requests)
        before = hub.uploaded()
        assert not publish(store, hub).changed
        assert hub.uploaded() == before


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("GET", "/revision/main"),
        ("GET", "/refs"),
        ("POST", "/api/repos/create"),
        ("POST", "/preupload/"),
        ("POST", "/objects/batch"),
        ("PUT", "/_lfs/put/"),
        ("POST", "/commit/"),
        ("POST", "/tag/"),
    ],
)
@pytest.mark.parametrize(("status", "headers"), [(429, {"RateLimit": '"api";r=0;t=0'}), (500, {}), (503, {})])
def test_an_answer_that_says_later_is_waited_for(
    store: Store, hub: HubDouble, method: str, text: str, status: int, headers: dict[str, str]
) -> None:
    seal(store, "b1")
    fault = hub.fault(method, text, status, headers=headers)
    publish(store, hub)
    assert fault.reached.is_set()
    assert len(hub.commits(REPO)) == 1
    assert hub.repos[REPO].tags.keys() == {"r0001"}
    assert_whole(hub.files(REPO), 6)


@pytest.mark.parametrize("times", [1, 7])
def test_a_commit_that_was_applied_though_the_answer_was_lost_is_not_made_twice(
    store: Store, hub: HubDouble, times: int
) -> None:
    seal(store, "b1")
    hub.fault("POST", "/commit/main", 504, applied=True, times=times)
    done = publish(store, hub)
    assert len(hub.commits(REPO)) == 1 and done.tag == "r0001"
    assert_whole(hub.files(REPO), 6)


def test_a_head_that_moves_is_looked_at_again(store: Store, hub: HubDouble, tmp_path: Path) -> None:
    """Somebody else publishes between our look at the head and our commit: nothing of theirs is lost, and no byte goes twice."""
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(store, "b1", audio_bytes=9_000)
    publish(store, hub)
    seal(elsewhere, "b2", audio_bytes=9_000)
    seal(store, "b3", audio_bytes=9_000)
    ours = target(hub)
    uploads: list[object] = []
    first = ours.api.preupload_lfs_files

    def in_between(*args: object, **how: object) -> None:
        first(*args, **how)  # type: ignore[arg-type]
        uploads.append(args)
        if len(uploads) == 1:
            publish(elsewhere, hub)

    ours.api.preupload_lfs_files = in_between  # type: ignore[method-assign]
    done = release(store, ours, OPTIONS)
    assert len(hub.commits(REPO)) == 3
    assert_whole(hub.files(REPO), 18)
    assert done.new == ["data/en/train/audio_000002.tar"], "the number that was planned had been given away"
    shard = hashlib.sha256(hub.files(REPO)["data/en/train/audio_000002.tar"]).hexdigest()
    assert [r.method for r in hub.requests if shard in r.path] == ["PUT"]
    assert any(r.status == 412 for r in hub.requests)
    assert sorted(p for p in hub.files(REPO) if p.startswith("metadata")) == [
        f"metadata/en/b{n}.parquet" for n in (1, 2, 3)
    ]


def test_many_files_go_by_a_pull_request_and_show_at_once(store: Store, hub: HubDouble) -> None:
    for number in range(6):
        seal(store, f"b{number}", audio_bytes=9_000)
    publish(store, hub, commit_files=5)
    assert len(hub.commits(REPO)) == 1
    repo = hub.repos[REPO]
    assert [r.status for r in repo.pull_requests.values()] == ["merged"]
    assert len(repo.history("refs/pr/1")) > 3
    assert_whole(hub.files(REPO), 36)
    assert repo.tags == {"r0001": repo.refs["main"]}


def test_a_pull_request_that_was_broken_off_is_taken_up(store: Store, hub: HubDouble) -> None:
    for number in range(6):
        seal(store, f"b{number}", audio_bytes=9_000)
    hub.fault("POST", "/commit/refs/pr/1", 400, skip=1)
    with pytest.raises(Exception, match="the test asked for this error"):
        publish(store, hub, commit_files=5)
    assert hub.commits(REPO) == [] and list(hub.files(REPO)) == []
    hub.requests.clear()
    publish(store, hub, commit_files=5)
    assert len(hub.repos[REPO].pull_requests) == 1
    assert_whole(hub.files(REPO), 36)
    assert not any("/_lfs/put" in r.path and r.path.endswith(".tar") for r in hub.requests)


def test_a_pull_request_onto_an_older_head_is_closed(store: Store, hub: HubDouble, tmp_path: Path) -> None:
    for number in range(6):
        seal(store, f"b{number}", audio_bytes=9_000)
    hub.fault("POST", "/commit/refs/pr/1", 400, skip=1)
    with pytest.raises(Exception, match="the test asked for this error"):
        publish(store, hub, commit_files=5)
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(elsewhere, "c1", audio_bytes=9_000)
    publish(elsewhere, hub)
    assert hub.repos[REPO].pull_requests[1].status == "closed"
    publish(store, hub, commit_files=5)
    assert_whole(hub.files(REPO), 42)


def test_the_pull_request_of_another_user_is_neither_merged_nor_touched(store: Store, hub: HubDouble) -> None:
    """The head is public, and with it the title that a release looks for."""
    seal(store, "b1", audio_bytes=9_000)
    publish(store, hub)
    repo = hub.repos[REPO]
    number = repo.propose(f"Release onto {repo.refs['main']}", "stranger")
    repo.delete(f"refs/pr/{number}", "data/en/train/audio_000000.tar")
    seal(store, "b2", audio_bytes=9_000)
    publish(store, hub)
    assert_whole(hub.files(REPO), 12)
    assert [(r.author, r.status) for r in repo.pull_requests.values()] == [("stranger", "draft")]
    assert not any("/refs/pr/" in r.path and r.method == "POST" for r in hub.requests)


def test_a_pull_request_in_which_a_file_is_missing_is_closed(store: Store, hub: HubDouble) -> None:
    seal(store, "b1", audio_bytes=9_000)
    publish(store, hub)
    repo = hub.repos[REPO]
    number = repo.propose(f"Release onto {repo.refs['main']}", "tester")
    repo.delete(f"refs/pr/{number}", "data/en/train/audio_000000.tar")
    seal(store, "b2", audio_bytes=9_000)
    publish(store, hub)
    assert_whole(hub.files(REPO), 12)
    assert repo.pull_requests[number].status == "closed"


def test_what_comes_into_a_pull_request_before_its_merge_is_mended(store: Store, hub: HubDouble) -> None:
    seal(store, "b1", audio_bytes=9_000)
    publish(store, hub)
    for number in range(2, 7):
        seal(store, f"b{number}", audio_bytes=9_000)
    ours = target(hub, commit_files=5)
    merge = ours.api.merge_pull_request

    def in_between(*args: object, **how: object) -> None:
        if len(hub.commits(REPO)) == 1:
            hub.repos[REPO].delete("refs/pr/1", "data/en/train/audio_000000.tar")
        merge(*args, **how)  # type: ignore[arg-type]

    ours.api.merge_pull_request = in_between  # type: ignore[method-assign]
    done = release(store, ours, OPTIONS)
    assert_whole(hub.files(REPO), 36)
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"] == done.revision


@pytest.mark.parametrize("step", ["create_commit", "merge_pull_request"])
def test_a_head_that_moves_while_a_pull_request_is_brought_or_merged(
    store: Store, hub: HubDouble, tmp_path: Path, step: str
) -> None:
    """Shards that were committed to a pull request in vain go into the next one, without a byte."""
    for number in range(6):
        seal(store, f"b{number}", audio_bytes=9_000)
    elsewhere = Store.at(tmp_path / "elsewhere")
    seal(elsewhere, "c1", audio_bytes=9_000)
    ours = target(hub, commit_files=5)
    first, seen = getattr(ours.api, step), list[object]()

    def in_between(*args: object, **how: object) -> object:
        done = first(*args, **how) if step == "create_commit" else None
        seen.append(args)
        if len(seen) == 1:
            publish(elsewhere, hub)
        return done or first(*args, **how)

    setattr(ours.api, step, in_between)
    release(store, ours, OPTIONS)
    assert_whole(hub.files(REPO), 42)
    assert len(hub.commits(REPO)) == 2 and hub.repos[REPO].tags.keys() == {"r0001", "r0002"}
    sent = [r.path for r in hub.requests if "/_lfs/put" in r.path]
    assert len(sent) == len(set(sent)), "no shard goes twice"


def test_of_two_that_tag_at_once_each_has_its_own(store: Store, hub: HubDouble) -> None:
    seal(store, "b1")
    ours = target(hub)
    first = ours.api.list_repo_refs

    def in_between(*args: object, **how: object) -> object:
        found = first(*args, **how)  # type: ignore[arg-type]
        repo = hub.repos[REPO]
        repo.tags.setdefault("r0001", "that of somebody else")
        return found

    ours.api.list_repo_refs = in_between  # type: ignore[method-assign,assignment]
    done = release(store, ours, OPTIONS)
    assert done.tag == "r0002" and hub.repos[REPO].tags["r0002"] == done.revision


def test_a_merge_whose_answer_is_lost_is_not_made_twice(store: Store, hub: HubDouble) -> None:
    for number in range(6):
        seal(store, f"b{number}", audio_bytes=9_000)
    hub.fault("POST", "/merge", 504, applied=True)
    done = publish(store, hub, commit_files=5)
    assert len(hub.commits(REPO)) == 1 and done.tag == "r0001"
    assert len(hub.repos[REPO].pull_requests) == 1


def test_what_is_taken_down_goes_from_the_history_too(store: Store, hub: HubDouble) -> None:
    for batch in ("b1", "b2"):
        seal(store, batch, audio_bytes=9_000)
    publish(store, hub)
    touched = ("data/en/train/audio_000000.tar", "metadata/en/b1.parquet", "episodes/b1.parquet")
    before = {path: hashlib.sha256(data).hexdigest() for path, data in hub.files(REPO).items()}
    committed = hub.repos[REPO].refs["main"]
    take_down(store, "b1", "one")
    done = publish(store, hub)
    assert committed not in hub.repos[REPO].commits, "its history is another one"
    assert done.anew == ["data/en/train/audio_000000.tar"]
    assert_whole(hub.files(REPO), 9)
    assert all(not hub.blobs.path(before[path]).exists() for path in touched)
    assert hub.blobs.path(before["data/en/train/audio_000001.tar"]).exists()
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"] == done.revision
    assert not publish(store, hub).changed
    assert hub.repos[REPO].tags.keys() == {"r0001", "r0002"}


def test_what_is_taken_down_during_a_release_is_not_in_it(store: Store, hub: HubDouble) -> None:
    seal(store, "b1")
    ours = target(hub)
    first = ours.api.preupload_lfs_files

    def in_between(*args: object, **how: object) -> None:
        first(*args, **how)  # type: ignore[arg-type]
        take_down(store, "b1", "one")

    ours.api.preupload_lfs_files = in_between  # type: ignore[method-assign]
    release(store, ours, OPTIONS)
    assert len(hub.commits(REPO)) == 1
    assert_whole(hub.files(REPO), 3)
    assert not any("b1-one" in key for key in keys(hub.files(REPO)))


@pytest.mark.parametrize("left", [1, 0])
def test_a_purge_that_is_not_answered_is_made_up_for_at_once(store: Store, hub: HubDouble, left: int) -> None:
    """Also where nothing is left in the dataset."""
    seal(store, "b1", ("one", "two"))
    publish(store, hub)
    shard = hashlib.sha256(hub.files(REPO)["data/en/train/audio_000000.tar"]).hexdigest()
    take_down(store, "b1", *("one", "two")[left:])
    hub.fault("POST", "/lfs-files/batch", 503)
    done = publish(store, hub)
    assert_whole(hub.files(REPO), 3 * left)
    assert not hub.blobs.path(shard).exists()
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"] == done.revision


def test_a_purge_that_is_refused_leaves_a_release_with_a_tag(store: Store, hub: HubDouble) -> None:
    seal(store, "b1")
    publish(store, hub)
    shard = hashlib.sha256(hub.files(REPO)["data/en/train/audio_000000.tar"]).hexdigest()
    take_down(store, "b1", "one")
    hub.fault("POST", "/lfs-files/batch", 403)
    with pytest.raises(
        Misconfigured, match=r"released as r0002, but taken-down content is still in its history.*HF_TOKEN"
    ):
        publish(store, hub)
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"]
    assert not publish(store, hub).changed
    assert not hub.blobs.path(shard).exists()
    assert hub.repos[REPO].tags["r0002"] == hub.repos[REPO].refs["main"]


@pytest.mark.parametrize("harm", ["truncated", "flipped"])
def test_a_damaged_sealed_shard_is_refused_before_the_commit(store: Store, hub: HubDouble, harm: str) -> None:
    seal(store, "b1", audio_bytes=9_000)
    rows = seal(store, "b2", audio_bytes=9_000)
    path = Path(str(store.path(f"sealed/b2/{rows['shard'][0]}")))
    data = bytearray(path.read_bytes())
    data[5_000] ^= 1
    path.write_bytes(data if harm == "flipped" else data[:-512])
    with pytest.raises(DamagedShard, match=r"batch b2: sealed shard v1/data/en/train/audio_000000\.tar"):
        publish(store, hub)
    assert hub.commits(REPO) == [] and not hub.repos[REPO].tags


def test_who_may_not_write_is_told_so(store: Store, hub: HubDouble) -> None:
    seal(store, "b1")
    with pytest.raises(Misconfigured, match="HF_TOKEN"):
        release(store, HubTarget(REPO, endpoint=hub.url, token="hf_somebody"), OPTIONS)
    assert hub.repos == {}


def test_a_gated_repository(store: Store, hub: HubDouble) -> None:
    seal(store, "b1")
    publish(store, hub, gated=True, private=False)
    assert (hub.repos[REPO].gated, hub.repos[REPO].private) == ("auto", False)


def test_neither_tokens_nor_signatures_are_logged(
    store: Store, hub: HubDouble, caplog: pytest.LogCaptureFixture
) -> None:
    seal(store, "b1")
    hub.fault("PUT", "/_lfs/put/", 503)
    with caplog.at_level("DEBUG"):
        publish(store, hub)
    ours = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("aiohttp"))
    assert "HTTP Error 503" in ours and "/_lfs/put/" in ours
    assert TOKEN not in ours and "X-Signature" not in ours
