"""Worker script that runs a streaming Sortformer in NeMo's environment; `nemo_process` starts it.

It imports only NumPy, torch and NeMo, and runs on Python 3.10 or later. It reads one JSON object per line from
its standard input and writes one per line to its standard output; audio and probabilities travel as `.npy` files.

The first line loads the model:
  {"model": ".nemo file", "device": "cpu" | "cuda:0", "threads": 0, "streaming": {name of a streaming parameter: frames}}
  → {"speakers": most that it distinguishes, "frame": seconds, "streaming": the parameters in use, "device": …}
each further one is an episode, mono at 16 kHz, float32 or 16-bit:
  {"audio": "file to read", "probabilities": "file to write"}
  → {"turns": [[start, end, index of the speaker], …]}, times in seconds; the file has shape (frames, speakers), float32.
A failed request is answered {"error": last line of the traceback, "traceback": …, "missing": missing package or null}.
The process ends as soon as its standard input is closed, even in the middle of a request.
"""

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

SAMPLE_RATE = 16_000
_FULL_SCALE = 32768.0
"""Full scale of 16-bit samples."""


def load(request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Load the model with a preset, and return it with the reply.

    Raises:
        ImportError: a package is missing.
        ValueError: the file holds another kind of model.
    """
    torch = importlib.import_module("torch")
    if request.get("threads"):
        torch.set_num_threads(request["threads"])
    device = torch.device(request["device"])
    _hide_broken_torchaudio()
    sortformer = importlib.import_module("nemo.collections.asr.models").SortformerEncLabelModel
    model = sortformer.restore_from(request["model"], map_location=device, strict=True)
    if not isinstance(model, sortformer) or not model.streaming_mode:
        raise ValueError(f"{request['model']} is not a streaming Sortformer")
    model = model.to(device).eval()
    modules = model.sortformer_modules
    for name, frames in request["streaming"].items():
        if not hasattr(modules, name):
            raise ValueError(f"this Sortformer has no streaming parameter {name}")
        setattr(modules, name, frames)
    modules._check_streaming_parameters()
    return model, {
        "speakers": int(modules.n_spk),
        "frame": float(model.cfg.preprocessor.window_stride) * int(model.cfg.encoder.subsampling_factor),
        "streaming": {name: getattr(modules, name) for name in request["streaming"]},
        "device": str(model.device),
    }


def diarize(model: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Compute turns and probabilities of one episode."""
    samples = np.load(request["audio"])
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / np.float32(_FULL_SCALE)
    lines, probabilities = model.diarize(
        audio=[samples],
        sample_rate=SAMPLE_RATE,
        batch_size=1,
        include_tensor_outputs=True,
        num_workers=0,
        verbose=False,
    )
    np.save(request["probabilities"], probabilities[0].squeeze(0).float().cpu().numpy())
    return {"turns": [parse(line) for line in lines[0]]}


def parse(line: str) -> tuple[float, float, int]:
    """Parse start, end and speaker of a turn as NeMo writes it: "0.560 3.120 speaker_0"."""
    start, end, speaker = line.split()
    return float(start), float(end), int(speaker.rpartition("_")[2])


def serve(
    load: Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]],
    answer: Callable[[Any, dict[str, Any]], dict[str, Any]],
) -> int:
    """Load once and answer until standard input ends; return the exit code if the model does not load."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C also reaches the parent, whose end closes standard input
    replies = _take_stdout()
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    try:
        model, facts = load(requests.get())
    except BaseException as error:  # the parent waits for an answer
        _write_reply(replies, _describe_failure(error))
        return 1
    _write_reply(replies, facts)
    while True:
        request = requests.get()
        try:
            reply = answer(model, request)
        except Exception as error:
            reply = _describe_failure(error)
        _write_reply(replies, reply)


def _read_requests(requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    for line in sys.stdin:
        requests.put(json.loads(line))
    os._exit(0)


def _take_stdout() -> TextIO:
    """Reserve standard output for replies: output of libraries goes to standard error."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return ours


def _write_reply(replies: TextIO, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


def _describe_failure(error: BaseException) -> dict[str, Any]:
    lines = str(error).strip().splitlines() or [""]
    return {
        "error": f"{type(error).__name__}: {lines[0]}",
        "traceback": "".join(traceback.format_exception(error)),
        "missing": error.name if isinstance(error, ModuleNotFoundError) else None,
    }


def _hide_broken_torchaudio() -> None:
    """Hide torchaudio from NeMo, which does not need it, if its compiled part does not load with this torch."""
    try:
        importlib.import_module("torchaudio")
    except Exception:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio"] = None  # type: ignore[assignment] # makes it not importable


if __name__ == "__main__":
    sys.exit(serve(load, diarize))
