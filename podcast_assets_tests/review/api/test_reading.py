"""What programs read: batches, transcripts in every format, segments, search, statistics; failures, retries and discards."""

from collections.abc import Mapping

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from podcast_assets.catalog.loading.load import load_batch
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.tokens import Scope
from podcast_assets.store.store import Store, diarization_key, transcript_key
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.committed import commit_batch, failure

Tokens = Mapping[Scope, dict[str, str]]


@pytest.fixture
def filled(store: Store, catalog: Engine) -> Store:
    commit_filled_batch(store, "first")
    load_batch(catalog, store, "first", words=False)
    return store


def test_batches_and_episodes(client: TestClient, tokens: Tokens, filled: Store) -> None:
    headers = tokens["read"]
    (row,) = client.get("/api/batches", headers=headers).json()["rows"]
    assert (row["batch"], row["state"], row["done"]) == ("first", "done", 2)
    assert client.get("/api/batches/first", headers=headers).json() == row
    assert client.get("/api/batches/second", headers=headers).status_code == 404
    assert client.get("/api/batches/second/episodes", headers=headers).status_code == 404
    assert client.get("/api/failures?barch=first", headers=headers).status_code == 422, "a misspelt filter"
    page = client.get("/api/batches/first/episodes", params={"limit": 1}, headers=headers).json()
    rest = client.get("/api/batches/first/episodes", params={"after": page["next"]}, headers=headers).json()
    assert [r["episode_id"] for r in page["rows"] + rest["rows"]] == ["first-one", "first-two"]
    assert rest["next"] is None


def test_transcripts_in_every_format(client: TestClient, tokens: Tokens, filled: Store) -> None:
    for suffix in ("json", "md", "srt", "vtt", "txt", "rttm"):
        key = (diarization_key if suffix == "rttm" else transcript_key)("first", "first-one", suffix)
        filled.write(key, f"in {suffix}".encode())
        answer = client.get(f"/api/batches/first/episodes/first-one/transcript.{suffix}", headers=tokens["read"])
        assert (answer.status_code, answer.text) == (200, f"in {suffix}")
    for path in (
        "first-one/transcript.exe",
        "first-two/transcript.srt",
        "..%2Ffirst/transcript.srt",
        "a.b/transcript.srt",
    ):
        code = client.get(f"/api/batches/first/episodes/{path}", headers=tokens["read"]).status_code
        assert code in (404, 422), path


def test_segments_come_in_pages_with_their_scores(client: TestClient, tokens: Tokens, filled: Store) -> None:
    path, rows, after = "/api/batches/first/episodes/first-one/segments", [], 0
    while after is not None:
        page = client.get(path, params={"limit": 3, "after": after}, headers=tokens["read"]).json()
        rows += page["rows"]
        after = page["next"]
    assert [r["segment_index"] for r in rows] == [0, 1, 2, 3]
    assert all(r["text"] and r["dnsmos_ovrl"] for r in rows)
    assert client.get(path.replace("one", "none"), headers=tokens["read"]).status_code == 404


def test_search_finds_what_was_said(client: TestClient, tokens: Tokens, filled: Store) -> None:
    segments = client.get("/api/batches/first/episodes/first-one/segments", headers=tokens["read"]).json()["rows"]
    phrase = " ".join(segments[0]["text"].split()[:3])
    found = client.get("/api/search", params={"q": f'"{phrase}"', "batch": "first"}, headers=tokens["read"])
    assert found.status_code == 200, found.text
    assert any(phrase in hit["text"] for hit in found.json()["hits"])
    assert "hunter2" not in found.text
    for query in ({"q": "-only"}, {"q": ""}, {}):
        assert client.get("/api/search", params=query, headers=tokens["read"]).status_code == 422
    by_meaning = client.get("/api/search", params={"q": "a word", "mode": "meaning"}, headers=tokens["read"])
    assert by_meaning.status_code == 409, "no embedder is set"


def test_statistics(client: TestClient, tokens: Tokens, filled: Store) -> None:
    found = client.get("/api/stats", params={"by": "language"}, headers=tokens["read"]).json()
    assert found["episodes"]["done"] == 2
    assert found["groups"][0]["language"] == "en"
    assert client.get("/api/stats", params={"by": "moon"}, headers=tokens["read"]).status_code == 422


def test_failures_are_listed_and_retried_through_the_queue(
    client: TestClient, tokens: Tokens, store: Store, services: ApiServices
) -> None:
    commit_batch(store, "a", failure("transcribe"))
    commit_batch(store, "b", failure("transcribe", permanent=True))
    rows = client.get("/api/failures", headers=tokens["read"]).json()["rows"]
    assert [(r["batch"], r["stage"], r["permanent"]) for r in rows] == [
        ("a", "transcribe", False),
        ("b", "transcribe", True),
    ]
    assert all("traceback" not in r for r in rows)

    def retry(**body: object) -> int:
        return client.post("/api/failures/retry", json=body, headers=tokens["review"]).status_code

    assert retry(batch="a") == 503, "there is no Dagster"
    requested = RecordingPipeline(services)
    assert retry(batch="a") == 202
    assert retry(batch="a", episode_id="other") == 404
    assert retry(batch="none") == 404
    assert retry(batch="b") == 409
    assert retry(batch="b", permanent=True) == 202
    assert requested.retried == ["a", "b"]


class RecordingPipeline:
    """Double of Dagster's queue: records what is retried."""

    def __init__(self, services: ApiServices) -> None:
        self.retried: list[str] = []
        services.pipeline.retry = self._retry  # type: ignore[method-assign]

    def _retry(self, batches: list[str]) -> str:
        self.retried += batches
        return "an id"


def test_discards_and_back(client: TestClient, tokens: Tokens, filled: Store) -> None:
    filled.write(transcript_key("first", "first-one", "srt"), b"text")
    body = {"batch": "first", "episode_id": "first-one", "reason": "noise"}
    done = client.post("/api/discards", json=body, headers=tokens["review"])
    assert (done.status_code, done.json()["reason"]) == (201, "noise")
    episodes = client.get("/api/batches/first/episodes", headers=tokens["read"]).json()["rows"]
    assert [e["status"] for e in episodes] == ["discarded", "done"]
    transcript = "/api/batches/first/episodes/first-one/transcript.srt"
    assert client.get(transcript, headers=tokens["read"]).status_code == 404
    path = "/api/discards/first/first-one"
    assert [client.delete(path, headers=tokens["review"]).status_code for _ in range(2)] == [204, 404]
    assert client.get(transcript, headers=tokens["read"]).status_code == 200
    for wrong in ({"episode_id": "none"}, {"batch": "none"}):
        assert client.post("/api/discards", json=body | wrong, headers=tokens["review"]).status_code == 404
