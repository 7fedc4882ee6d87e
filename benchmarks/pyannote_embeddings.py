"""Speaker embeddings by pyannote.audio's own `get_embeddings`: as it computes them, and with the convolutions once per window.

    OMP_NUM_THREADS=1 python benchmarks/pyannote_embeddings.py [--seconds 40] [--rounds 3]

The model is WeSpeaker's ResNet34 as the published pipelines have it, with random weights: a convolution costs the same whatever its
weights, so the speed is that of the real one; accuracy is not measured. Windows of 10 s every second have three speakers and
random masks each, whose content does not affect the speed.

CPU seconds of one thread; the candidates take turns, round by round, and the ratio is the median of the rounds' ratios. The
embeddings must be bit for bit those of the library for batches of as many rows.
"""

import argparse
import copy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper.audio import decode_audio

from podcast_assets.demo import BATCH
from podcast_assets.speech.diarizers.pyannote.embeddings import share_trunk
from podcast_assets.speech.diarizers.pyannote.pipeline import import_pyannote
from podcast_assets.speech.types import SAMPLE_RATE

WINDOW, STEP, SLOTS, FRAMES = 10.0, 1.0, 3, 589  # those of community-1
PUBLISHED_ROWS = 32  # embedding_batch_size of community-1

Embeddings = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Candidate:
    name: str
    rows: int
    """Windows times speakers in a batch."""
    shared: bool


CANDIDATES = [
    Candidate("the library, 32 rows (as published)", PUBLISHED_ROWS, shared=False),
    *(Candidate(f"the library, {SLOTS * n} rows", SLOTS * n, shared=False) for n in (1, 2, 8)),
    *(Candidate(f"once per window, {SLOTS * n} rows", SLOTS * n, shared=True) for n in (1, 2, 8)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="audio")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    compute = prepare(args.seconds)
    for candidate in CANDIDATES:  # torch chooses and compiles its kernels when it sees a shape first
        compute(candidate, warm_up=True)
    seconds: dict[Candidate, list[float]] = {c: [] for c in CANDIDATES}
    made: dict[Candidate, Embeddings] = {}
    for _ in range(args.rounds):
        for candidate in CANDIDATES:
            begin = time.process_time()
            made[candidate] = compute(candidate)
            seconds[candidate].append(time.process_time() - begin)
    print(
        "| candidate | CPU s per minute | x | times as fast | differs from the library at most |\n|---|---|---|---|---|"
    )
    for candidate in CANDIDATES:
        report(candidate, seconds, made, args.seconds)


def report(
    candidate: Candidate, seconds: dict[Candidate, list[float]], made: dict[Candidate, Embeddings], length: float
) -> None:
    """Print a row. A candidate must equal the library at the same batch size, and is compared with its published settings."""
    same = next((c for c in CANDIDATES if c.rows == candidate.rows and not c.shared), CANDIDATES[0])
    if candidate.shared:
        assert np.array_equal(made[candidate], made[same]), f"{candidate.name}: other embeddings than the library's"
    cost = median(seconds[candidate]) / length * 60
    ratios = [a / b for a, b in zip(seconds[CANDIDATES[0]], seconds[candidate], strict=True)]
    paired = [a / b for a, b in zip(seconds[same], seconds[candidate], strict=True)]
    faster = f"{median(ratios):.2f}" + (f" ({median(paired):.2f} of as many rows)" if candidate.shared else "")
    difference = np.abs(made[candidate] - made[CANDIDATES[0]]).max()
    print(f"| {candidate.name} | {cost:.1f} | {60 / cost:.1f} | {faster} | {difference:.0e} |", flush=True)


def prepare(length: float) -> Callable[..., Embeddings]:
    """Return a function that computes embeddings of the audio as the candidate does."""
    import_pyannote()
    # of the library's search for the shortest audio that its model takes
    warnings.filterwarnings("ignore", message=r"std\(\): degrees of freedom")
    import torch
    from pyannote.audio import Audio
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.pipelines import SpeakerDiarization
    from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding
    from pyannote.core import SlidingWindow, SlidingWindowFeature

    torch.set_num_threads(1)
    torch.manual_seed(0)
    pipelines: dict[bool, Any] = {}
    model = WeSpeakerResNet34()
    for shared in (False, True):
        twin = copy.deepcopy(model)
        embedding = PyannoteAudioPretrainedSpeakerEmbedding(twin)
        if shared:
            assert share_trunk(twin, SLOTS), "this release of pyannote.audio is not known"
        audio = Audio(sample_rate=SAMPLE_RATE, mono="downmix")
        pipelines[shared] = SimpleNamespace(training=False, _embedding=embedding, _audio=audio)

    episodes = [decode_audio(str(f)) for f in sorted(BATCH.iterdir()) if f.suffix != ".parquet"]
    waveform = torch.from_numpy(np.resize(np.concatenate(episodes), round(length * SAMPLE_RATE)))[None]
    count = int((length - WINDOW) / STEP) + 1
    # of about half a second
    masks = np.random.default_rng(0).random((count, FRAMES // 31, SLOTS)).repeat(31, axis=1) > 0.5
    windows = SlidingWindow(start=0.0, duration=WINDOW, step=STEP)

    def compute(candidate: Candidate, *, warm_up: bool = False) -> Embeddings:
        pipeline = pipelines[candidate.shared]
        pipeline.embedding_batch_size = candidate.rows
        some = masks[: -(-candidate.rows // SLOTS)] if warm_up else masks
        file = {"waveform": waveform, "sample_rate": SAMPLE_RATE}
        features = SlidingWindowFeature(some.astype(np.float32), windows)
        return SpeakerDiarization.get_embeddings(pipeline, file, features, exclude_overlap=True)

    return compute


if __name__ == "__main__":
    main()
