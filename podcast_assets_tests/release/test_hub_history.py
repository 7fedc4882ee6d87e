"""What was taken down goes from all commits of a repository: by the real client, against a double of the Hub's two endpoints."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from podcast_assets.release.published import Part, PublishedShard
from podcast_assets.release.targets.hub_history import note_superseded, purge_history, superseded_objects
from podcast_assets.release.targets.protocol import TargetFile
from podcast_assets.store.store import Store

REPO = "me/speech"
OLD, NEW, OTHER = ("a" * 64, "b" * 64, "c" * 64)


@dataclass
class Double:
    """A repository: what its head has, what its history has, and what was asked of it."""

    head: list[str]
    history: list[str]
    deletions: list[dict[str, Any]] = field(default_factory=list)
    refuse: int = 0
    """So many deletions are answered with 403."""
    page: int = 1
    url: str = ""


@pytest.fixture
def hub() -> Iterator[Double]:
    double = Double([NEW, OTHER], [OLD, NEW, OTHER])

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def answer(self, status: int, body: Any, **headers: str) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.startswith(f"/api/datasets/{REPO}/tree/main"):
                lfs = [{"oid": s, "size": 1, "pointerSize": 134} for s in double.head]
                files = [{"type": "file", "path": f"{o['oid'][0]}.tar", "oid": "0", "size": 1, "lfs": o} for o in lfs]
                return self.answer(200, files)
            at = int(query.removeprefix("cursor=") or 0)
            part = double.history[at : at + double.page]
            files = [
                {"fileOid": s, "oid": s, "filename": "x", "size": 1, "pushedAt": "2026-01-01T00:00:00.000Z"}
                for s in part
            ]
            more = at + double.page < len(double.history)
            link = {"Link": f'<{double.url}{path}?cursor={at + double.page}>; rel="next"'} if more else {}
            return self.answer(200, files, **link)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == f"/api/datasets/{REPO}/lfs-files/batch"
            if double.refuse:
                double.refuse -= 1
                return self.answer(403, {"error": "not you"})
            double.deletions.append(body["deletions"])
            double.history = [s for s in double.history if s not in body["deletions"]["sha"]]
            return self.answer(200, {})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield double
    server.shutdown()
    server.server_close()


def api(hub: Double) -> HfApi:
    return HfApi(endpoint=hub.url, token="hf_token")


def test_what_was_superseded_goes_and_nothing_else(hub: Double, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    note_superseded(store, REPO, [OLD])
    done = purge_history(store, api(hub), REPO)
    assert (done.removed, done.waiting) == (1, 0)
    assert hub.deletions == [{"sha": [OLD], "rewriteHistory": True}]
    assert hub.history == [NEW, OTHER]
    assert purge_history(store, api(hub), REPO).removed == 0
    assert len(hub.deletions) == 1


def test_what_the_head_still_has_is_never_deleted(hub: Double, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    hub.head.append(OLD)
    note_superseded(store, REPO, [OLD])
    done = purge_history(store, api(hub), REPO)
    assert (done.removed, done.waiting, hub.deletions) == (0, 1, [])
    hub.head.remove(OLD)
    assert purge_history(store, api(hub), REPO).removed == 1


def test_a_refusal_is_raised_and_made_up_for_by_the_next_call(hub: Double, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    note_superseded(store, REPO, [OLD])
    hub.refuse = 1
    with pytest.raises(HfHubHTTPError):
        purge_history(store, api(hub), REPO)
    assert hub.history == [OLD, NEW, OTHER]
    assert purge_history(store, api(hub), REPO).removed == 1


def test_an_object_that_never_came_is_struck_off(hub: Double, tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    note_superseded(store, REPO, ["d" * 64])
    assert purge_history(store, api(hub), REPO).waiting == 0
    assert hub.deletions == []


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
