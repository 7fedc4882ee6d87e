"""What is accepted is in the store, becomes one list or another whatever happens, and tells what became of it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from podcast_assets.intake.arrivals import list_incoming
from podcast_assets.intake.links import parse_link_list
from podcast_assets.review.api.gathering import Gatherer
from podcast_assets.review.api.records import BATCHED, WAITING, find_submission
from podcast_assets.review.api.services import ApiServices
from podcast_assets.review.api.worker import forget
from podcast_assets.review.tokens import Scope, add_token
from podcast_assets.rights.discard import discard
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import NOW, commit_filled_batch
from podcast_assets_tests.review.api.conftest import bearer

Tokens = Mapping[Scope, dict[str, str]]
LATER = 4e9
"""POSIX seconds; all that waits has waited long enough."""


def submit(client: TestClient, tokens: Tokens, headers: Mapping[str, str] | None = None, **body: Any) -> str:
    answer = client.post("/api/episodes", json=body, headers={**tokens["submit"], **(headers or {})})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == answer.json()["status_url"]
    return answer.json()["id"]


def status(client: TestClient, tokens: Tokens, identity: str) -> dict[str, Any]:
    answer = client.get(f"/api/episodes/{identity}", headers=tokens["submit"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def listed(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Batch → rows of its list, as the pipeline reads them."""
    found = {}
    for batch in list_incoming(store).arrivals:
        links = parse_link_list(f"{batch}.jsonl", store.read(f"incoming/{batch}.jsonl"))
        assert not links.broken
        assert not links.skipped
        found[batch] = [link.row for link in links.links]
    return found


def test_what_is_accepted_is_in_the_store_and_becomes_a_list(client: TestClient, tokens: Tokens, store: Store) -> None:
    identity = submit(
        client,
        tokens,
        episodes=[
            {"url": "https://example.org/1.mp3"},
            {"url": "https://example.org/2.mp3", "language": "de", "title": "Zwei", "speakers": "3"},
        ],
        language="en",
        podcast="A Show",
        licence="CC-BY-4.0",
        speakers="2-4",
    )
    assert store.names(WAITING) == {f"{identity}.json"}
    assert status(client, tokens, identity)["state"] == "waiting"
    assert Gatherer(store, 30).gather(0.0) == []
    (batch,) = Gatherer(store, 30).gather(LATER)
    of_all = {"podcast": "A Show", "license": "CC-BY-4.0"}
    assert listed(store)[batch] == [
        {"url": "https://example.org/1.mp3", "language": "en", "min_speakers": 2, "max_speakers": 4, **of_all},
        {"url": "https://example.org/2.mp3", "language": "de", "num_speakers": 3, "title": "Zwei", **of_all},
    ]
    found = status(client, tokens, identity)
    assert (found["state"], found["batch"], found["progress"]) == ("queued", batch, 0.0)
    assert [e["url"] for e in found["episodes"]] == ["https://example.org/1.mp3", "https://example.org/2.mp3"]


def test_an_idempotency_key_makes_repetitions_one_submission(
    client: TestClient, tokens: Tokens, store: Store, catalog: Engine
) -> None:
    key = {"Idempotency-Key": "job 1"}
    first = submit(client, tokens, key, url="https://example.org/1.mp3")
    assert submit(client, tokens, key, url="https://example.org/1.mp3") == first
    Gatherer(store, 0).gather(LATER)
    assert submit(client, tokens, key, url="https://example.org/1.mp3") == first, "known after it has its batch, too"
    assert store.names(WAITING) == set()
    other = client.post("/api/episodes", json={"url": "https://example.org/2.mp3"}, headers={**tokens["submit"], **key})
    assert other.status_code == 409
    somebody = bearer(add_token(catalog, "somebody else", ["submit"])[1])
    theirs = client.post("/api/episodes", json={"url": "https://example.org/2.mp3"}, headers={**somebody, **key})
    assert theirs.status_code == 202
    assert theirs.json()["id"] != first


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "file:///etc/passwd"},
        {"url": "s3://bucket/audio.mp3"},
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"url": "http://[::ffff:10.0.0.1]/a.mp3"},
        {"url": "http://localhost/a.mp3"},
        {"url": "https://example.org/a.mp3", "episodes": [{"url": "https://example.org/a.mp3"}]},
        {"episodes": []},
        {"episodes": [{"url": "https://example.org/a.mp3"}] * 65},
        {"url": "https://example.org/a.mp3", "language": "klingonish"},
        {"url": "https://example.org/a.mp3", "speakers": "many"},
        {"url": "https://example.org/a.mp3", "titel": "misspelt"},
        {"url": "https://example.org/a.mp3", "title": "a\0b"},
        {"url": "https://example.org/a.mp3", "callback_url": "http://127.0.0.1/hook"},
        {"url": "https://example.org/a.mp3", "callback_url": "ftp://example.org/hook"},
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    client: TestClient, tokens: Tokens, store: Store, body: dict[str, Any]
) -> None:
    answer = client.post("/api/episodes", json=body, headers=tokens["submit"])
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert store.names(WAITING) == set()


def test_secrets_in_urls_are_not_shown(client: TestClient, tokens: Tokens) -> None:
    secret = "hunter2secret"
    identity = submit(client, tokens, url=f"https://me:{secret}@example.org/a.mp3?token={secret}")
    assert secret not in json.dumps(status(client, tokens, identity))
    for wrong in (
        {"speakers": "x"},
        {"unknown": 1},
        {"callback_url": f"http://me:{secret}@10.0.0.1/{secret}?{secret}"},
    ):
        body = {"url": f"https://me:{secret}@example.org/a.mp3?token={secret}", **wrong}
        answer = client.post("/api/episodes", json=body, headers=tokens["submit"])
        assert answer.status_code == 422
        assert secret not in answer.text


def test_lists_have_up_to_64_episodes(client: TestClient, tokens: Tokens, store: Store) -> None:
    for number in range(0, 130, 2):
        submit(client, tokens, episodes=[{"url": f"https://example.org/{n}.mp3"} for n in (number, number + 1)])
    gatherer = Gatherer(store, 30)
    first = gatherer.gather(0.0)
    assert [len(listed(store)[batch]) for batch in first] == [64, 64]
    assert len(store.names(WAITING)) == 1, "the last waits for more, or for half a minute"
    assert len(gatherer.gather(LATER)) == 1
    urls = sorted(row["url"] for rows in listed(store).values() for row in rows)
    assert urls == sorted(f"https://example.org/{n}.mp3" for n in range(130))


def test_a_url_is_in_a_list_once_and_the_latest_metadata_hold(client: TestClient, tokens: Tokens, store: Store) -> None:
    first = submit(client, tokens, url="https://example.org/1.mp3", language="en", podcast="A Show")
    second = submit(client, tokens, url="https://example.org/1.mp3", language="de")
    (batch,) = Gatherer(store, 0).gather(LATER)
    (row,) = listed(store)[batch]
    assert row["podcast"] == "A Show"
    assert {status(client, tokens, identity)["batch"] for identity in (first, second)} == {batch}


@pytest.mark.parametrize("writes", range(7))
def test_an_interrupted_gathering_is_finished_by_the_next(
    client: TestClient, tokens: Tokens, store: Store, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was written or removed when the process died, each URL is in one list in the end."""
    for number in range(3):
        submit(client, tokens, url=f"https://example.org/{number}.mp3")
    left = writes

    def limited(name: str) -> None:
        real = getattr(Store, name)

        def change(self: Store, *given: Any) -> None:
            nonlocal left
            if left == 0:
                raise OSError("the process ends here")
            left -= 1
            real(self, *given)

        patch.setattr(Store, name, change)

    with monkeypatch.context() as patch:
        limited("write")
        limited("remove")
        with pytest.raises(OSError, match="ends here"):
            Gatherer(store, 0).gather(LATER)
    submit(client, tokens, url="https://example.org/late.mp3")
    Gatherer(store, 0).gather(LATER)
    found = listed(store)
    urls = sorted(row["url"] for rows in found.values() for row in rows)
    assert urls == [f"https://example.org/{name}.mp3" for name in (0, 1, 2, "late")]
    assert store.names(WAITING) == set()
    for name in store.names(BATCHED):
        submission = find_submission(store, name.removesuffix(".json"))
        assert submission is not None
        assert submission.urls[0] in [row["url"] for row in found[submission.batch or ""]]


def test_a_list_that_was_processed_already_is_not_written_again(
    client: TestClient, tokens: Tokens, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = submit(client, tokens, url="https://example.org/1.mp3")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "remove", lambda *_: (_ for _ in ()).throw(OSError("ends here")))
        with pytest.raises(OSError, match="ends here"):
            Gatherer(store, 0).gather(LATER)
    (batch,) = listed(store)
    commit_filled_batch(store, batch)
    store.remove(f"incoming/{batch}.jsonl")
    Gatherer(store, 0).gather(LATER)
    assert listed(store) == {}
    assert status(client, tokens, identity)["batch"] == batch


def test_a_damaged_submission_holds_no_other_up(
    client: TestClient, tokens: Tokens, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.write(f"{WAITING}/s{'0' * 24}.json", b"{")
    submit(client, tokens, url="https://example.org/1.mp3")
    assert len(Gatherer(store, 0).gather(LATER)) == 1
    assert "is not a submission" in caplog.text


def test_the_status_follows_the_stages(client: TestClient, tokens: Tokens, store: Store) -> None:
    urls = [f"https://user:hunter2secret@example.org/{name}.mp3?token=hunter2secret" for name in ("one", "two")]
    identity = submit(client, tokens, episodes=[{"url": url} for url in urls])
    (batch,) = Gatherer(store, 0).gather(LATER)
    store.write(f"checkpoints/download/{batch}/x.parquet", b"")
    assert status(client, tokens, identity)["episodes"][0]["stage"] == "ingest"
    assert status(client, tokens, identity)["state"] == "processing"
    later = ("diarized_segments", "transcripts", "quality_scores", "hf_shards")
    for number, stage in enumerate(("diarize", "transcribe", "score", "package")):
        commit_filled_batch(store, batch, without=later[number:])
        (one, two) = status(client, tokens, identity)["episodes"]
        assert (one["state"], one["stage"], one["progress"]) == ("processing", stage, round((1 + number) / 5, 2))
        assert one["episode_id"] == f"{batch}-one"
    store.write(f"checkpoints/package/{batch}/{batch}-two-abc.parquet", b"")
    assert [e["state"] for e in status(client, tokens, identity)["episodes"]] == ["processing", "done"]
    commit_filled_batch(store, batch)
    found = status(client, tokens, identity)
    assert (found["state"], found["progress"]) == ("done", 1.0)
    discard(store, [f"{batch}/{batch}-one"], "noise", None, NOW)
    (one, two) = status(client, tokens, identity)["episodes"]
    assert (one["state"], two["state"]) == ("discarded", "done")
    assert "noise" in one["error"]


def test_submissions_of_others_are_not_found(client: TestClient, tokens: Tokens, catalog: Engine) -> None:
    identity = submit(client, tokens, url="https://example.org/1.mp3")
    somebody = bearer(add_token(catalog, "somebody else", ["submit"])[1])
    for headers, code in ((somebody, 404), (tokens["read"], 200), (tokens["review"], 403), (tokens["admin"], 200)):
        assert client.get(f"/api/episodes/{identity}", headers=headers).status_code == code
    assert client.get(f"/api/episodes/s{'0' * 24}", headers=tokens["read"]).status_code == 404


def test_too_many_that_wait_are_refused(client: TestClient, tokens: Tokens, services: ApiServices) -> None:
    services.settings = services.settings.model_copy(update={"api_waiting_limit": 2})
    submit(client, tokens, url="https://example.org/1.mp3")
    submit(client, tokens, url="https://example.org/2.mp3")
    answer = client.post("/api/episodes", json={"url": "https://example.org/3.mp3"}, headers=tokens["submit"])
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_old_submissions_are_forgotten_when_nothing_is_open(client: TestClient, tokens: Tokens, store: Store) -> None:
    waits = submit(client, tokens, url="https://example.org/0.mp3", callback_url="https://example.org/hook")
    done = submit(client, tokens, url="https://example.org/1.mp3")
    Gatherer(store, 0).gather(LATER)
    waiting = submit(client, tokens, url="https://example.org/2.mp3")
    assert forget(store, 0.0) == 0
    assert forget(store, LATER) == 1
    codes = [client.get(f"/api/episodes/{i}", headers=tokens["submit"]).status_code for i in (waits, done, waiting)]
    assert codes == [200, 404, 200]
