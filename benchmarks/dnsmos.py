"""DNSMOS side by side: speechmos, Emilia's way, and ours; scores compared in the same run. And the whole stage `score`.

    python -m benchmarks.dnsmos [--real FOLDER] [--rounds 7] [--segments 12] [--hops 1 9]

1. P.835 and P.808 of segments of 16 kHz audio: speechmos' own class (librosa's mel spectrum, a window at a time), and ours.
2. P.835 of segments at 24 kHz, as Emilia-Pipe cuts them: `librosa.resample` per segment and a window a second, no P.808; and ours,
   P.835 alone, with the same resampling, or with soxr's as the working audio has it.
3. The stage `score` over episodes of a store: decoding, all measures of the signal, speech share, DNSMOS.

Segments last 3 to 30 s, 9 s on average, as those of Emilia, cut from the sample batch or from the recordings of FOLDER. One thread
each; rounds take turns. What the scores differ by is printed; more than 1e-4 is an error.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt

from benchmarks.measured import WHOLE, compare
from podcast_assets.audio.decode import decode
from podcast_assets.demo import BATCH
from podcast_assets.quality.scorers.dnsmos.model import Dnsmos, model_paths
from podcast_assets.quality.scorers.dnsmos.p835 import P835
from podcast_assets.quality.scorers.dnsmos.windows import group_windows, repeat_short, window_starts
from podcast_assets.speech.types import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".mp3", ".m4a", ".mp4", ".opus", ".ogg")
"""Of the sample batch; another file of it is cut off on purpose."""
TOLERANCE = 1e-4
EMILIAS_RATE = 24_000


def on_one_thread(path: Path) -> Any:
    """Create a single-threaded session of ONNX Runtime for the peers."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def speechmos_scorer(paths: tuple[Path, Path]) -> Callable[[Samples], list[float]]:
    """Create speechmos' class with single-threaded sessions; its own would use all cores."""
    from speechmos.dnsmos import DNSMOS

    peer = DNSMOS(*map(str, paths))
    peer.onnx_sess, peer.p808_onnx_sess = map(on_one_thread, paths)

    def score(samples: Samples) -> list[float]:
        found = peer(samples, SAMPLE_RATE, False)
        return [float(found[f"{name}_mos"]) for name in ("sig", "bak", "ovrl", "p808")]

    return score


def emilias_scorer(path: Path) -> Callable[[Samples], list[float]]:
    """A segment at 24 kHz: resampled by librosa, then P.835 for a window a second."""
    import librosa

    session = on_one_thread(path)

    def score(segment: Samples) -> list[float]:
        samples = repeat_short(librosa.resample(segment, orig_sr=EMILIAS_RATE, target_sr=SAMPLE_RATE))
        starts = window_starts(len(samples), 1.0)
        return mean([session.run(None, {"input_1": samples[None, s : s + 144_160]})[0][0] for s in starts])

    return score


def ours_alone(path: Path, resample: Callable[[Samples], Samples]) -> Callable[[Samples], list[float]]:
    """The same with shared convolutions."""
    network = P835(path)

    def score(segment: Samples) -> list[float]:
        samples = repeat_short(resample(segment))
        return mean(network(list(group_windows(samples, window_starts(len(samples), 1.0), 64))))

    return score


def mean(raw: Any) -> list[float]:
    """Average raw outputs of the network, before they are mapped to the scale of the tests."""
    return np.mean(np.asarray(raw, np.float64), axis=0).tolist()


def segments(files: Sequence[Path], rate: int, count: int) -> list[Samples]:
    """Stretches of the recordings, one after the other: quantiles of 3 s and an exponential distribution above, 30 s at most."""
    audio = np.concatenate([decode(file, rate=rate) for file in files])
    seconds = np.minimum(3 - 6.3 * np.log(1 - (np.arange(count) + 0.5) / count), 30)
    now, found = 0, []
    for length in (round(float(s) * rate) for s in seconds):
        if now + length > len(audio):
            now = 0
        found.append(np.ascontiguousarray(audio[now : now + length]).clip(-1, 1))
        now += length
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder with recordings")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--segments", type=int, default=12)
    parser.add_argument("--hops", type=float, nargs="*", default=[9.0], help="larger hops to compare too, s")
    parser.add_argument("--only", choices=["speechmos", "emilia", "stage"], nargs="*")
    args = parser.parse_args()
    files = (
        sorted(f for f in args.real.iterdir() if f.suffix in SUFFIXES)
        if args.real
        else [BATCH / name for name in WHOLE]
    )
    paths = model_paths()
    assert paths, "pip install speechmos"
    chosen = args.only or ["speechmos", "emilia", "stage"]
    if "speechmos" in chosen:
        against_speechmos(segments(files, SAMPLE_RATE, args.segments), paths, args.hops, args.rounds)
    if "emilia" in chosen:
        against_emilia(segments(files, EMILIAS_RATE, args.segments), paths[0], args.rounds)
    if "stage" in chosen:
        whole_stage(args.hops, max(args.rounds // 2, 1))


def against_speechmos(some: list[Samples], paths: tuple[Path, Path], hops: Sequence[float], count: int) -> None:
    peer = speechmos_scorer(paths)
    ours = {hop: Dnsmos(*paths, hop=hop, threads=1) for hop in (1.0, *hops)}
    expected = np.array([peer(s) for s in some])
    seconds = sum(map(len, some)) / SAMPLE_RATE
    windows = sum(len(window_starts(len(repeat_short(s)), 1.0)) for s in some)
    print(f"## P.835 and P.808: {len(some)} segments, {seconds:.0f} s, {windows / len(some):.2f} windows a segment\n")
    for hop, scorer in ours.items():
        found = np.array([[m.sig, m.bak, m.ovrl, m.p808] for m in scorer(some) if m])
        apart = np.abs(found - expected)
        print(f"hop {hop:g} s: differs from speechmos by {apart.max():.1e} at most, {apart.mean():.1e} on average")
        if hop == 1.0 and apart.max() > TOLERANCE:
            sys.exit("the scores differ")
    print()
    candidates = {"speechmos": lambda: [peer(s) for s in some]}
    candidates |= {f"ours, hop {hop:g} s": lambda scorer=scorer: scorer(some) for hop, scorer in ours.items()}  # type: ignore[misc]
    compare(candidates, count, seconds, "s of audio")


def against_emilia(some: list[Samples], path: Path, count: int) -> None:
    import librosa
    import soxr

    peer = emilias_scorer(path)
    ours = ours_alone(path, lambda s: librosa.resample(s, orig_sr=EMILIAS_RATE, target_sr=SAMPLE_RATE))
    apart = np.abs(np.array([ours(s) for s in some]) - np.array([peer(s) for s in some])).max()
    seconds = sum(map(len, some)) / EMILIAS_RATE
    print(f"\n## P.835 from 24 kHz: {len(some)} segments, {seconds:.0f} s; differs by {apart:.1e} at most\n")
    if apart > TOLERANCE:
        sys.exit("the scores differ")
    lighter = ours_alone(path, lambda s: soxr.resample(s, EMILIAS_RATE, SAMPLE_RATE))
    candidates = {
        "Emilia's way": lambda: [peer(s) for s in some],
        "ours": lambda: [ours(s) for s in some],
        "ours, soxr": lambda: [lighter(s) for s in some],
    }
    compare(candidates, count, seconds, "s of audio")


def whole_stage(hops: Sequence[float], count: int) -> None:
    """Everything that the stage does for episodes of the sample batch, and how much of it is not DNSMOS."""
    from podcast_assets.quality.scorers.dnsmos.engine import DnsmosEngine
    from podcast_assets.store.store import Store

    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        episodes, seconds, speech = fill(store)
        print(
            f"\n## the stage score: {len(episodes)} episodes, {seconds:.0f} s, of which {speech:.0f} s are in segments\n"
        )
        candidates: dict[str, Callable[[], object]] = {}
        for hop in (1.0, *hops):
            candidates[f"hop {hop:g} s"] = stage(store, episodes, DnsmosEngine(hop=hop, threads=1, device="cpu"))
        candidates["all but DNSMOS"] = stage(store, episodes, None)
        compare(candidates, count, seconds, "s of audio")


def fill(store: Any) -> tuple[list[Any], float, float]:
    """Working audio and originals of the sample batch in a store; episodes, their length, and that of their segments."""
    from podcast_assets import demo
    from podcast_assets.audio.ingest import make_working_audio
    from podcast_assets.audio.reader import open_audio
    from podcast_assets.speech.types import Turn
    from podcast_assets.stages.diarize import segment_rows
    from podcast_assets.stages.stage import Episode
    from podcast_assets.store.store import working_key

    episodes, seconds, speech = [], 0.0, 0.0
    for file in (BATCH / name for name in WHOLE):
        key, original = working_key(file.stem * 4), f"audio/original/{file.name}"
        with store.writing(key) as target:
            length = make_working_audio(file, target).duration
        store.write(original, file.read_bytes())
        with open_audio(file) as reader:
            rate = reader.rate
        bare = Episode(file.stem, file.name, length)
        turns = [Turn(t["start"], t["end"], t["speaker"]) for t in demo.load_reference(file.stem)]
        spans = segment_rows(bare, turns, []).select("segment_id", "start", "end", "speaker")
        inputs = {"working": key, "original": original, "sample_rate": rate, "segments": spans}
        episodes.append(Episode(file.stem, file.name, length, inputs))
        seconds += length
        speech += float((spans["end"] - spans["start"]).sum())
    return episodes, seconds, speech


def stage(store: Any, episodes: Sequence[Any], engine: Any) -> Callable[[], object]:
    """Run the stage over all episodes with a loaded worker; without an engine, only its preparation."""
    from podcast_assets.quality.scorers.dnsmos.engine import DnsmosEngine
    from podcast_assets.stages.score import Score

    work = Score(store, engine or DnsmosEngine())
    worker = work.load() if engine else None

    def run() -> object:
        ready = [(e, work.prepare(e)) for e in episodes]
        return [work.process(worker, e, prepared) for e, prepared in ready] if worker else ready

    return run


if __name__ == "__main__":
    main()
