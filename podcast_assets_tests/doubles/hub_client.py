"""A process with the real client of the hub in it: it reads HF_ENDPOINT when it is imported, and can be killed."""

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
import json, os, sys
from huggingface_hub import constants
from podcast_assets.engines import hub_download, model_cache, models
hub_download.PAUSE_SECONDS = 0.01

class Told:
    def begin(self, model, commit, missing): self.missing = missing
    def advance(self, size): self.came = getattr(self, "came", 0) + size

print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    os.environ.update(asked["environment"])
    constants.HF_HUB_OFFLINE = asked["offline"]  # read when it was imported
    model = model_cache.HubModel(**asked["model"] | {"files": tuple(asked["model"]["files"])})
    told, answer = Told(), {}
    try:
        if asked["what"] == "at_hand":
            answer["at_hand"] = models.check_available(model)
        else:
            answer["folder"] = str(models.fetch_model(model, update=asked["what"] == "update", watch=told))
    except Exception as error:
        answer["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(answer | vars(told)), flush=True)
"""


@dataclass
class Client:
    """A process with the real client of the hub in it, that fetches what it is told to."""

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

    def ask(self, what: str, model: HubModel, *, token: str = "", offline: bool = False) -> None:
        assert self.process.stdin
        asked = {
            "what": what,
            "model": asdict(model),
            "environment": {"PODCAST_MODELS": str(self.folder), "HF_TOKEN": token},
            "offline": offline,
        }
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        lines = iter(self.process.stdout.readline, "")
        return json.loads(next(line for line in lines if line.startswith("{")))

    def fetch(self, model: HubModel, what: str = "fetch", **how: Any) -> dict[str, Any]:
        self.ask(what, model, **how)
        return self.answer()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()
