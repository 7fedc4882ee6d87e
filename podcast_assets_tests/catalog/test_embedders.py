"""Embedders: the packaged ones against what their packages compute, and served ones against a double of a server."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from podcast_assets.catalog.embeddings.choice import choose_embedder
from podcast_assets.catalog.embeddings.protocol import model_name
from podcast_assets.common.errors import EngineUnavailable, Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import make_engine

TEXTS = [
    "The price of bread went up again.",
    "Bakers want more money for a loaf.",
    "A rocket flies to the moon.",
    "",
    "東京",
]


@pytest.mark.parametrize("name", ["wordllama", "minilm"])
def test_texts_of_like_meaning_are_near(name: str) -> None:
    embedder = make_engine("embedder", name).load()
    found = embedder.embed(TEXTS)
    assert found.shape == (len(TEXTS), embedder.dimensions)
    near, far = found[0] @ found[1], found[0] @ found[2]
    assert near > far + 0.1
    np.testing.assert_allclose(np.linalg.norm(found[:3], axis=1), 1, atol=1e-3)
    together = embedder.embed([TEXTS[0], " ".join(TEXTS[:3] * 20)])
    np.testing.assert_allclose(
        together[0], found[0], atol=0.03
    )  # the other texts of a batch change nothing but rounding


def test_wordllama_computes_what_its_package_does() -> None:
    inference = pytest.importorskip("wordllama.inference")
    embedder = make_engine("embedder", "wordllama").load()
    ours = embedder.embed(TEXTS[:3])
    theirs = inference.WordLlamaInference(embedder._table, embedder._tokenizer)  # it changes the tokenizer
    np.testing.assert_allclose(ours, theirs.embed(TEXTS[:3], norm=True), atol=1e-5)


Answer = Callable[[dict[str, Any]], tuple[int, Any]]


@contextlib.contextmanager
def embeddings_server_double(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]], list[str | None]]]:
    """A double of an OpenAI-compatible server: its URL, and the requests and Authorization headers that it got."""
    requests: list[dict[str, Any]] = []
    keys: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(request | {"path": self.path})
            keys.append(self.headers["Authorization"])
            status, content = answer(request)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests, keys
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def vector_of(content: str) -> list[float]:
    return [float(len(content)), 3.0, 0.0]


def answer_floats(request: dict[str, Any]) -> tuple[int, Any]:
    data = [{"index": i, "embedding": vector_of(t)} for i, t in enumerate(request["input"])]
    return 200, {"data": data[::-1]}


def answer_base64(request: dict[str, Any]) -> tuple[int, Any]:
    encoded = [base64.b64encode(np.array(vector_of(t), dtype="<f4").tobytes()).decode() for t in request["input"]]
    return 200, {"data": [{"index": i, "embedding": e} for i, e in enumerate(encoded)]}


@pytest.mark.parametrize("answer", [answer_floats, answer_base64])
def test_a_server_is_asked_in_batches(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_EMBEDDINGS_API_KEY", "sk-abcdefgh")
    with embeddings_server_double(answer) as (url, requests, keys):
        engine = make_engine("embedder", "openai", url=url, model="m", batch=2)
        found = engine.load().embed(["aaaa", "", "b", "cc"])
    np.testing.assert_allclose(
        found, [[0.8, 0.6, 0], [0, 0, 0], np.array([1, 3, 0]) / 10**0.5, np.array([2, 3, 0]) / 13**0.5], atol=1e-6
    )
    assert [r["input"] for r in requests[1:]] == [["aaaa", "b"], ["cc"]]
    assert {r["path"] for r in requests} == {"/v1/embeddings"}
    assert set(keys) == {"Bearer sk-abcdefgh"}
    assert "sk-abcdefgh" not in repr(engine) + json.dumps(engine.identity())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda request: (401, {"error": {"message": "wrong key"}}), "PODCAST_EMBEDDINGS_API_KEY"),
        (lambda request: (404, {}), "PODCAST_EMBEDDINGS_MODEL"),
        (lambda request: (200, {"data": []}), "one vector per text"),
        (lambda request: (200, {"data": [{"index": 0, "embedding": [float("nan")]}]}), "one vector per text"),
        (lambda request: (200, {"data": [{"index": 0, "embedding": "!!"}]}), "one vector per text"),
        (lambda request: (503, {}), "PODCAST_EMBEDDINGS_PATIENCE"),
    ],
)
def test_a_server_that_fails_is_named_with_what_to_do(answer: Answer, message: str) -> None:
    with embeddings_server_double(answer) as (url, _, _):
        engine = make_engine("embedder", "openai", url=url, model="m", patience=0.01)
        with pytest.raises(EngineUnavailable, match=message):
            engine.load()


def test_nothing_is_sent_to_a_remote_server_unasked() -> None:
    engine = make_engine("embedder", "openai", url="https://1.1.1.1/v1", model="m")
    with pytest.raises(EngineUnavailable, match="PODCAST_EMBEDDINGS_ALLOW_REMOTE"):
        engine.load()


def test_another_model_has_another_name_and_another_address_has_not() -> None:
    names = {
        model_name(make_engine("embedder", "openai", url=url, model=model, dimensions=dimensions))
        for url, model, dimensions in [
            ("http://127.0.0.1:1/v1", "a", None), ("http://127.0.0.1:2/v1", "a", None), ("http://127.0.0.1:1/v1", "b", None),
            ("http://127.0.0.1:1/v1", "a", 256),
        ]
    }  # fmt: skip
    assert len(names) == 3


def test_the_settings_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_embedder(Settings(embedder="none")) is None
    engine = choose_embedder(Settings(embedder="openai", embeddings_url="http://127.0.0.1:9/v1"))
    assert engine is not None
    assert "PODCAST_EMBEDDINGS_MODEL" in str(engine.unavailable_reason())
    with pytest.raises(Misconfigured, match="minilm, openai, wordllama"):
        choose_embedder(Settings(embedder="nosuch"))
