"""A double of the process of NeMo: the loop and the protocol are the real worker's, the model and its diarization are scripted.

The file that it loads as its model is JSON: what it answers to being loaded and to each episode in turn, and where it notes what
it was asked. It hears nothing. An answer that is a word is something that can happen to the real one.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from podcast_assets.speech.diarizers.sortformer import nemo_worker

FACTS = {"speakers": 4, "frame": 0.08, "device": "cpu"}


def load(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The script, and what the real one says of a model."""
    script = json.loads(Path(request["model"]).read_text())
    _note(script, request | {"pid": os.getpid()})
    print("a library that prints to the standard output")  # noqa: T201
    if package := script.get("lacks"):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    if script.get("broken"):
        raise RuntimeError("the archive is truncated")
    return script, FACTS | {"streaming": request["streaming"]} | script.get("facts", {})


def diarize(script: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The next answer of the script, of all processes that ran it."""
    asked = [json.loads(line) for line in Path(script["notes"]).read_text().splitlines()]
    answer = script["answers"][sum("audio" in a for a in asked)]
    samples = np.load(request["audio"])
    _note(script, request | {"dtype": str(samples.dtype), "samples": samples[:4].tolist()})
    match answer:
        case "fails":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB\nand more lines")
        case "breaks the device":
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crashes":
            os.write(2, b"terminate called after throwing an instance of 'c10::Error'\n")
            os._exit(134)
        case "takes long":
            time.sleep(60)
    np.save(request["probabilities"], np.array(answer["probabilities"], np.float32).reshape(-1, 4))
    return {"turns": answer["turns"]}


def _note(script: dict[str, Any], what: dict[str, Any]) -> None:
    with Path(script["notes"]).open("a") as f:
        f.write(json.dumps(what) + "\n")


if __name__ == "__main__":
    sys.exit(nemo_worker.serve(load, diarize))
