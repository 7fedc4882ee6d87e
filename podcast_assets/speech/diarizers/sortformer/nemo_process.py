"""NeMo in a separate process and environment, because its pinned packages conflict with those of this project.

The process runs `nemo_worker.py`, which documents the protocol, with the interpreter of that environment.
"""

import contextlib
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podcast_assets.common.errors import EngineUnavailable, is_device_error
from podcast_assets.engines import model_cache

log = logging.getLogger(__name__)

VARIABLE = "PODCAST_NEMO_PYTHON"
PACKAGES = ("nemo_toolkit", "torch")
WORKER = Path(__file__).with_name("nemo_worker.py")
REQUIREMENTS = Path(__file__).with_name("requirements-nemo.txt")
_ENVIRONMENT = {
    "OTEL_SDK_DISABLED": "true",  # NeMo's telemetry; it also crashed the load of models (NeMo Curator, audio tutorials)
    "HF_HUB_OFFLINE": "1",  # models are downloaded by this process
}
_VERSIONS_CODE = """
import importlib.metadata as m, json, sys
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""
_GPU_COUNT_CODE = "import torch; print(torch.cuda.device_count())"
_END_SECONDS = 5.0
"""Grace period of a process before it is killed."""


class NemoError(RuntimeError):
    """NeMo's process failed or died; the message is the last line of its traceback or log."""

    def __init__(self, message: str, *, missing: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing
        """Package that is missing in NeMo's environment."""


def find_interpreter(named: str | None = None) -> Path:
    """Find the interpreter of NeMo's environment: the given one, else PODCAST_NEMO_PYTHON, else one in the models folder."""
    python = named or os.environ.get(VARIABLE)
    return Path(python).expanduser().absolute() if python else _default_interpreter()


def _default_interpreter() -> Path:
    return model_cache.models_folder() / ".nemo" / "bin" / "python"


def install_message(python: Path, problem: str) -> EngineUnavailable:
    """Return a message that NeMo is not available, with the command that installs it.

    Args:
        python: interpreter of NeMo's environment, existing or not.
        problem: what is missing.
    """
    install: list[str | Path] = [python, "-m", "pip", "install", "-r", REQUIREMENTS]
    commands = [install]
    if not python.exists():
        folder = python.parents[1] if python.parent.name == "bin" else _default_interpreter().parents[1]
        install[0] = folder / "bin" / "python"
        commands = [[sys.executable, "-m", "venv", folder], install]
    command = " && ".join(shlex.join(map(str, part)) for part in commands)
    return EngineUnavailable(
        f"NeMo needs an environment of its own, and {problem}: run {command}; or set {VARIABLE} to an interpreter that has it"
    )


def versions(python: Path) -> dict[str, str]:
    """Return the versions of NeMo and torch in an environment without importing them.

    Raises:
        EngineUnavailable: there is no such environment, or they are not installed in it.
    """
    found: dict[str, str | None] = json.loads(_run_code(python, _VERSIONS_CODE, *PACKAGES))
    if lacking := [name for name, version in found.items() if version is None]:
        raise install_message(python, f"{' and '.join(lacking)} is not installed for {python}")
    return {name: version for name, version in found.items() if version}


def gpu_count(python: Path) -> int:
    """Count the GPUs that torch can use in an environment; 0 without an environment. Imports torch there."""
    try:
        return int(_run_code(python, _GPU_COUNT_CODE))
    except (EngineUnavailable, ValueError):
        return 0


def _run_code(python: Path, code: str, *arguments: str) -> str:
    try:
        run = subprocess.run(  # noqa: S603 - the interpreter is the user's setting
            [python, "-I", "-c", code, *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise install_message(python, _failure_reason(python, error)) from error
    return run.stdout


def _failure_reason(python: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no {python}"
    message = getattr(error, "stderr", None) or str(error)
    return f"{python} does not run ({message.strip().splitlines()[-1]})"


class NemoProcess:
    """Process with one loaded model; started by the first request, and again after a crash."""

    def __init__(self, python: Path, load: Mapping[str, Any]) -> None:
        """Create the object; starts no process yet.

        Args:
            python: interpreter of NeMo's environment.
            load: the request that loads the model.
        """
        self._python, self._load = python, load
        self._process: subprocess.Popen[bytes] | None = None
        self._last_lines: deque[str] = deque(maxlen=1)
        self._listener: threading.Thread | None = None
        self._end: Any = None

    def start(self) -> dict[str, Any]:
        """Start the process, load the model and return the process's reply.

        Raises:
            EngineUnavailable: there is no such interpreter, or packages are missing in its environment.
            NemoError: the model does not load.
        """
        self.close()
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter is the user's setting
                # isolated: neither PYTHONPATH nor the script's folder may be on its path
                [self._python, "-I", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | _ENVIRONMENT,
            )
        except OSError as error:
            raise install_message(self._python, _failure_reason(self._python, error)) from error
        self._process = process
        self._end = weakref.finalize(self, _end_process, process)
        self._last_lines.clear()
        self._listener = threading.Thread(target=_forward_log, args=(process.stderr, self._last_lines), daemon=True)
        self._listener.start()
        try:
            return self._exchange_lines(self._load)
        except NemoError as error:
            self.close()
            if error.missing:
                raise install_message(self._python, f"{error.missing} is not installed for {self._python}") from error
            raise

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the reply.

        Raises:
            NemoError: the request failed, or the process died; the next request starts a new process.
            EngineUnavailable: the process had died and cannot be started again.
        """
        if self._process is None or self._process.poll() is not None:
            self.start()
        try:
            return self._exchange_lines(request)
        except NemoError as error:
            if is_device_error(error):  # CUDA does not recover inside a process
                self.close()
            raise

    def close(self) -> None:
        """End the process, even in the middle of a request."""
        if self._process is not None:
            self._end()
            self._process = None

    def _exchange_lines(self, request: Mapping[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._make_death_error(process) from None
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._make_death_error(process)
        reply = json.loads(line)
        if "error" in reply:
            log.debug("NeMo: %s", reply["traceback"])
            raise NemoError(reply["error"], missing=reply["missing"])
        return reply

    def _make_death_error(self, process: subprocess.Popen[bytes]) -> NemoError:
        code = process.wait()
        if self._listener:
            self._listener.join(_END_SECONDS)
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        log_line = f"; its last log line: {self._last_lines[0]}" if self._last_lines and code != -signal.SIGKILL else ""
        self.close()
        return NemoError(f"the process of NeMo {ending}{log_line}")


def _forward_log(stream: Any, last_lines: deque[str]) -> None:
    """Forward a process's log. Of a line that is overwritten, as by progress bars, only the last state is used."""
    with stream:
        for line in stream:
            text = line.decode(errors="replace").rstrip().rpartition("\r")[2].strip()
            if text:
                last_lines.append(text)
                log.debug("NeMo: %s", text)


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """Close a process's input, which ends it; kill it if it keeps running."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):  # it died before it read everything
            process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
