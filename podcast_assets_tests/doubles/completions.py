"""A double of an OpenAI-compatible server: a real HTTP server whose answers a test scripts. No model is behind it."""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "scripted"


@dataclass(frozen=True)
class Asked:
    """A request that the server got."""

    path: str
    body: Any
    headers: Mapping[str, str]

    @property
    def prompt(self) -> str:
        """All text of the question."""
        return self.body.get("prompt") or "\n".join(m["content"] for m in self.body["messages"])


@dataclass(frozen=True)
class Reply:
    """What the server answers."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: threading.Event | None = None
    """Answer when it is set."""


Script = Callable[[Asked], Reply]


@dataclass
class Completions:
    """The server, what it was asked, and what it answers."""

    url: str
    script: Script
    asked: list[Asked] = field(default_factory=list)
    """Completions only."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Path → answer, for all that is not a completion."""
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def logprobs(tokens: Sequence[tuple[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Log-probabilities as chat completions have them: for each token, its alternatives with their probabilities."""
    return {
        "content": [
            {
                "token": token,
                "logprob": math.log(alternatives.get(token, 1.0)),
                "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in alternatives.items()],
            }
            for token, alternatives in tokens
        ]
    }


def chat(
    text: str | None, tokens: Sequence[tuple[str, Mapping[str, float]]] = (), *, finish: str = "stop", **message: Any
) -> Reply:
    """A chat completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
        "logprobs": logprobs(tokens) if tokens else None,
    }
    return Reply({"model": MODEL, "choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}})


def completion(text: str, alternatives: Mapping[str, float] | None = None, *, finish: str = "length") -> Reply:
    """A raw completion of one token, with log-probabilities as vLLM writes them."""
    parallel = alternatives and {
        "tokens": [text],
        "token_logprobs": [math.log(alternatives.get(text, 1.0))],
        "top_logprobs": [{t: math.log(p) for t, p in alternatives.items()}],
    }
    choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": parallel}
    return Reply({"model": MODEL, "choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 1}})


@contextmanager
def completions(script: Script, *, port: int = 0) -> Iterator[Completions]:
    """Run the server while the block runs."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.path.endswith("completions"):
                self.answer_fact()
                return
            asked = Asked(self.path, body, dict(self.headers.items()))
            with found.lock:
                found.asked.append(asked)
                found.at_once += 1
                found.most_at_once = max(found.most_at_once, found.at_once)
            try:
                reply = found.script(asked)
                if reply.wait:
                    reply.wait.wait()
            finally:
                with found.lock:
                    found.at_once -= 1
            if not over.is_set():
                self.send(reply)

        def do_GET(self) -> None:
            self.answer_fact()

        def answer_fact(self) -> None:
            fact = found.facts.get(self.path)
            self.send(Reply({"error": {"message": "not found"}}, 404) if fact is None else Reply(fact))

        def send(self, reply: Reply) -> None:
            content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that are killed disconnect

    server = Server(("127.0.0.1", port), Handler)
    found = Completions(f"http://127.0.0.1:{server.server_address[1]}/v1", script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
