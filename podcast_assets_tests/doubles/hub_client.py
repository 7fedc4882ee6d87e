"""The real client of the Hub in a process of its own: it reads HF_ENDPOINT when it is imported, and tests kill it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from podcast_assets.engines.model_cache import HubModel
from podcast_assets_tests.doubles.hub import HubDouble

CLIENT = """
import json, logging, os, sys
from huggingface_hub import constants
from podcast_assets.engines import hub_download, model_cache, models
hub_download.PAUSE_SECONDS = 0.01

class Progress:
    def begin(self, model, commit, missing): self.missing = missing
    def advance(self, size): self.received = getattr(self, "received", 0) + size

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    os.environ.update(request["environment"])
    constants.HF_HUB_OFFLINE = request["offline"]  # read when it was imported
    lists = {"files": tuple(request["model"]["files"]), "checksums": tuple(map(tuple, request["model"]["checksums"]))}
    model = model_cache.HubModel(**request["model"] | lists)
    progress, answer = Progress(), {}
    try:
        if request["action"] == "check":
            answer["available"] = models.check_available(model)
        else:
            answer["folder"] = str(models.fetch_model(model, update=request["action"] == "update", watch=progress))
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(answer | vars(progress)), flush=True)
"""


@dataclass
class Client:
    """A process with the real client of the Hub, which fetches models on request."""

    process: subprocess.Popen[str]
    folder: Path
    """The models folder."""

    @classmethod
    def start(cls, hub: HubDouble, folder: Path) -> "Client":
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PODCAST_"))}
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT],
            env=clean | {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "huggingface")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return cls(process, folder / "models")

    def send(self, action: str, model: HubModel, *, token: str = "", offline: bool = False) -> None:
        """Ask for a model: `fetch`, `update`, or `check` whether it is available."""
        assert self.process.stdin
        request = {
            "action": action,
            "model": asdict(model),
            "environment": {"PODCAST_MODELS": str(self.folder), "HF_TOKEN": token},
            "offline": offline,
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def wait_for_message(self, text: str) -> None:
        """Wait until it logs a text, which must be before it answers."""
        assert self.process.stdout
        for line in iter(self.process.stdout.readline, ""):
            assert not line.startswith("{"), f"it answered without {text!r}: {line}"
            if text in line:
                return
        raise AssertionError(f"the client ended without {text!r}")

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to a request: `folder`, `available` or `error`, and what was downloaded."""
        assert self.process.stdout
        lines = iter(self.process.stdout.readline, "")
        return json.loads(next(line for line in lines if line.startswith("{")))

    def fetch(self, model: HubModel, action: str = "fetch", **options: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        self.send(action, model, **options)
        return self.answer()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
