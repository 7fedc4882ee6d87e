"""The diarizer `sortformer` with NeMo itself, where it is at hand. Weights are random: nothing is said of who speaks."""

import json
import os
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.speech.diarizers.sortformer import nemo_process
from podcast_assets.speech.diarizers.sortformer.engine import PRESETS, Preset, Sortformer
from podcast_assets.speech.diarizers.sortformer.nemo_process import NemoError
from podcast_assets.speech.types import SAMPLE_RATE, Diarization, Pcm
from podcast_assets_tests.speech.processes import kill

CHECK_PRESETS = """
import importlib.util, json, sys
import numpy as np
spec = importlib.util.spec_from_file_location("nemo_worker", sys.argv[1])
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
noise = np.load(sys.argv[3])
found = {}
for name, streaming in json.loads(sys.argv[4]).items():
    model, facts = worker.load({"model": sys.argv[2], "device": "cpu", "threads": 1, "streaming": streaming})
    modules = model.sortformer_modules
    np.save(sys.argv[5], noise)
    reply = worker.diarize(model, {"audio": sys.argv[5], "probabilities": sys.argv[5]})
    heard = np.load(sys.argv[5])
    found[name] = {
        "facts": facts,
        "modules": {n: getattr(modules, n) for n in streaming},
        "shape": heard.shape, "dtype": str(heard.dtype), "least": float(heard.min()), "most": float(heard.max()),
        "turns": reply["turns"],
    }
print("FOUND " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def nemo_python() -> Path:
    """The interpreter of an environment with NeMo."""
    named = os.environ.get("PODCAST_NEMO_PYTHON")
    if not named:
        pytest.skip("NeMo is not here: set PODCAST_NEMO_PYTHON to the interpreter of its environment")
    return Path(named)


@pytest.fixture(scope="module")
def random_model(nemo_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A streaming Sortformer of NeMo's own class, with random weights."""
    file = tmp_path_factory.mktemp("nemo") / "random.nemo"
    tool = Path(__file__).parents[2] / "tools" / "random_models" / "sortformer.py"
    subprocess.run([nemo_python, "-I", tool, file], check=True, capture_output=True)
    return file


@pytest.fixture(scope="module")
def swelling_noise() -> np.ndarray:
    """13.3 s of noise that swells again and again: more than a chunk of each preset but the longest."""
    seconds = 13.3
    loudness = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE % 2 / 4
    return (np.random.default_rng(1).standard_normal(len(loudness)) * loudness).astype(np.float32)


def test_each_preset_is_in_force_in_nemos_modules(
    nemo_python: Path, random_model: Path, swelling_noise: np.ndarray, tmp_path: Path
):
    presets = {name: fields(preset) for name, preset in PRESETS.items()}
    np.save(noise := tmp_path / "noise.npy", swelling_noise)
    arguments = [nemo_process.WORKER, random_model, noise, json.dumps(presets), tmp_path / "exchanged.npy"]
    run = subprocess.run(
        [nemo_python, "-I", "-c", CHECK_PRESETS, *arguments], check=True, capture_output=True, text=True
    )
    found = json.loads(next(line for line in run.stdout.splitlines() if line.startswith("FOUND "))[6:])
    for name, preset in presets.items():
        seen = found[name]
        assert seen["modules"] == seen["facts"]["streaming"] == preset
        assert (seen["facts"]["speakers"], seen["facts"]["frame"], seen["facts"]["device"]) == (4, 0.08, "cpu")
        assert (seen["shape"], seen["dtype"]) == ([167, 4], "float32")  # a frame of 80 ms for each begun one
        assert 0 <= seen["least"] < 0.5 < seen["most"] <= 1
        assert seen["turns"]
        assert all(0 <= start < end <= 13.36 and speaker in range(4) for start, end, speaker in seen["turns"])


def test_the_real_process_diarizes_fails_dies_and_comes_again(
    nemo_python: Path, random_model: Path, swelling_noise: np.ndarray
):
    engine = Sortformer(model=str(random_model), python=str(nemo_python), device="cpu", threads=1)
    assert set(engine.versions()) == {"nemo_toolkit", "torch"}
    assert engine.unavailable_reason() is None
    worker: Any = engine.load()
    found = worker.diarize(swelling_noise)
    assert found.full and found.turns
    assert {t.speaker for t in found.full} <= {f"SPEAKER_{i:02d}" for i in range(4)}
    assert found.full[0].speaker == "SPEAKER_00"
    assert all(0 <= t.start < t.end <= 13.3 for t in (*found.full, *found.turns))
    assert all(a.end <= b.start for a, b in pairwise(found.turns))
    assert worker.diarize(swelling_noise) == found
    pcm = Pcm((swelling_noise * 32768).clip(-32768, 32767).astype(np.int16))
    assert abs(len(worker.diarize(pcm).full) - len(found.full)) < 5
    with pytest.raises(NemoError, match="ValueError: Unsupported numpy audio shape"):
        worker.diarize(np.zeros((2, 2, 2), np.float32))
    assert worker.diarize(np.zeros(80, np.float32)) == Diarization([], full=[])  # shorter than a feature's hop
    kill(worker._process._process.pid)
    assert worker.diarize(swelling_noise) == found


def test_a_file_that_is_no_model_is_told_by_the_real_process(nemo_python: Path, tmp_path: Path):
    (file := tmp_path / "damaged.nemo").write_bytes(b"not an archive")
    with pytest.raises(EngineUnavailable, match=r"NeMo cannot load .*damaged.nemo: "):
        Sortformer(model=str(file), python=str(nemo_python), device="cpu").load()


def fields(preset: Preset) -> dict[str, int]:
    return {name: getattr(preset, name) for name in Preset.__slots__}
