"""Signal scores of speech that is degraded by known amounts.

    python -m benchmarks.dnsmos_degradations [--real FOLDER] [--hop 1]

Each degradation is applied to several clips of clean speech (synthesized ones of the sample batch, and clips of FOLDER), with
fixed seeds, so that the table is reproducible. A row is the mean over the clips. Tests check the directions of the table.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.decode import decode
from podcast_assets.demo import BATCH
from podcast_assets.quality.signal import signal_measures
from podcast_assets.quality.speech_share import speech_shares
from podcast_assets.speech.types import SAMPLE_RATE

Samples = npt.NDArray[np.float32]

SECONDS = 9.5
"""Length of a clip: one window of DNSMOS."""
LEVEL_DB = -26.0
"""Of the clean speech, RMS: far enough from full scale that nothing clips by accident."""

HEADROOM = 0.98


@dataclass(frozen=True)
class Degradation:
    """Kind of degradation with its amounts, from weak to strong."""

    name: str
    unit: str
    amounts: Sequence[float]
    apply: Callable[[Samples, float, int], Samples]
    """Clean speech, amount and seed → degraded speech."""


def at_level(samples: Samples, decibels: float) -> Samples:
    """Scale samples to an RMS in dBFS."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return (samples * (10 ** (decibels / 20) / rms)).astype(np.float32)


def mixed(speech: Samples, other: Samples, ratio_db: float) -> Samples:
    """Mix speech with another signal that is the given number of dB quieter, by RMS."""
    level = 20 * np.log10(float(np.sqrt(np.mean(np.square(speech, dtype=np.float64)))))
    return np.clip(speech + at_level(other, level - ratio_db), -1, 1).astype(np.float32)


def with_noise(speech: Samples, ratio_db: float, seed: int) -> Samples:
    """Add white noise at a signal-to-noise ratio in dB."""
    return mixed(speech, np.random.default_rng(seed).standard_normal(len(speech)).astype(np.float32), ratio_db)


def clipped(speech: Samples, share: float, seed: int) -> Samples:
    """Amplify until that share of the samples is clipped; 0 gives the same loudness without clipping."""
    full = 1.0 if share else HEADROOM
    return np.clip(speech * (full / max(float(np.quantile(np.abs(speech), 1 - share)), 1e-9)), -1, 1).astype(np.float32)


def low_passed(speech: Samples, cutoff: float, seed: int) -> Samples:
    """Remove everything above a frequency in Hz, as coding at a lower rate does."""
    import soxr

    narrow = soxr.resample(soxr.resample(speech, SAMPLE_RATE, 2 * cutoff), 2 * cutoff, SAMPLE_RATE)
    return np.pad(narrow, (0, max(0, len(speech) - len(narrow))))[: len(speech)].astype(np.float32)


def reverberated(speech: Samples, decay: float, seed: int) -> Samples:
    """Add reverberation with the given decay time (60 dB) in seconds, with as much reverberant as direct power."""
    from scipy.signal import fftconvolve

    t = np.arange(round(decay * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(seed).standard_normal(len(t)) * 10 ** (-3 * t / decay)
    response /= np.sqrt(np.sum(response**2))
    response[0] = 1.0
    return at_level(fftconvolve(speech, response)[: len(speech)].astype(np.float32), LEVEL_DB)


def with_music(speech: Samples, ratio_db: float, seed: int) -> Samples:
    """Add music, four repeated chords of notes with eight partials, at a speech-to-music ratio in dB."""
    t = np.arange(len(speech)) / SAMPLE_RATE
    music = np.zeros(len(speech))
    for beat in range(int(t[-1] / 0.5) + 1):
        since = t - 0.5 * beat
        struck = np.where(since >= 0, np.exp(-3 * np.maximum(since, 0)), 0.0)
        for note in CHORDS[beat // 2 % len(CHORDS)]:
            music += struck * sum(np.sin(2 * np.pi * k * note * t) / k**1.5 for k in range(1, 9))
    return mixed(speech, music.astype(np.float32), ratio_db)


CHORDS = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))
"""C, A minor, F, G; Hz."""


def overlapped(speech: Samples, share: float, other: Samples) -> Samples:
    """Add another, equally loud speaker over the first part."""
    until = round(share * len(speech))
    louder = at_level(other, LEVEL_DB)
    return np.clip(speech + np.where(np.arange(len(speech)) < until, louder, 0), -1, 1).astype(np.float32)


DEGRADATIONS = (
    Degradation("white noise", "dB SNR", (40, 30, 20, 10, 0), with_noise),
    Degradation("clipping", "share", (0, 0.001, 0.01, 0.05, 0.2), clipped),
    Degradation("low-pass", "Hz", (7000, 6000, 4000, 2000, 1000), low_passed),
    Degradation("reverberation", "s", (0.15, 0.3, 0.6, 1.2), reverberated),
    Degradation("music", "dB below", (30, 20, 10, 0), with_music),
)


def clips(files: Sequence[Path], most: int = 2) -> Iterator[Samples]:
    """Cut the clips of SECONDS with the most speech from files; shorter files are repeated."""
    for file in files:
        audio = decode(file)
        audio = np.resize(audio, max(len(audio), round(SECONDS * SAMPLE_RATE)))
        starts = np.arange(0, len(audio) / SAMPLE_RATE - SECONDS + 1e-6, SECONDS)
        shares = speech_shares(audio, [(float(s), float(s) + SECONDS) for s in starts])
        for index in sorted(range(len(starts)), key=lambda i: -(shares[i] or 0.0))[:most]:
            first = round(float(starts[index]) * SAMPLE_RATE)
            yield at_level(audio[first : first + round(SECONDS * SAMPLE_RATE)], LEVEL_DB)


def synthesized() -> list[Samples]:
    """Return clean clips of the sample batch, each mostly of one voice."""
    return list(clips([BATCH / "night-science.mp3", BATCH / "water-history.opus", BATCH / "future-food.mp4"], 1))


def measured(samples: Samples, scorer: Any) -> Mapping[str, float]:
    """Compute every score of a clip."""
    span = (0.0, len(samples) / SAMPLE_RATE)
    found = signal_measures(samples, SAMPLE_RATE) | scorer.score(samples, [span])[0]
    found["speech_share"] = speech_shares(samples, [span])[0]
    return {name: float("nan") if value is None else value for name, value in found.items()}


def mean(some: Sequence[Samples], scorer: Any) -> dict[str, float]:
    each = [measured(samples, scorer) for samples in some]
    return {name: float(np.nanmean([m[name] for m in each])) for name in each[0]}


COLUMNS = {
    "dnsmos_sig": ".2f",
    "dnsmos_bak": ".2f",
    "dnsmos_ovrl": ".2f",
    "dnsmos_p808": ".2f",
    "snr_db": ".1f",
    "clipping_share": ".3f",
    "peak_db": ".1f",
    "loudness_lufs": ".1f",
    "bandwidth_hz": ".0f",
    "speech_share": ".2f",
}


def table(clean: Sequence[Samples], scorer: Any) -> None:
    """Print a row for the clean speech and for each amount of each degradation."""
    print(f"| degradation | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    row("none", mean(clean, scorer))
    for kind in DEGRADATIONS:
        for amount in kind.amounts:
            worse = [kind.apply(samples, amount, seed) for seed, samples in enumerate(clean)]
            row(f"{kind.name}, {amount:g} {kind.unit}", mean(worse, scorer))
    for share in (0.25, 0.5, 1.0):
        others = [*clean[1:], clean[0]]
        row(f"overlap, {share:g}", mean([overlapped(c, share, o) for c, o in zip(clean, others, strict=True)], scorer))


def row(name: str, scores: Mapping[str, float]) -> None:
    print(f"| {name} | {' | '.join(f'{scores[k]:{form}}' for k, form in COLUMNS.items())} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder with recordings of clean speech")
    parser.add_argument("--hop", type=float, default=1.0, help="of DNSMOS, s")
    args = parser.parse_args()
    from podcast_assets.quality.scorers.dnsmos.engine import DnsmosEngine

    scorer = DnsmosEngine(hop=args.hop).load()
    print("synthesized speech\n")
    table(synthesized(), scorer)
    if args.real:
        files = sorted(f for f in args.real.iterdir() if f.suffix in (".wav", ".flac", ".mp3", ".m4a", ".opus", ".ogg"))
        print(f"\nreal speech: {', '.join(f.name for f in files)}\n")
        table(list(clips(files, 1)), scorer)


if __name__ == "__main__":
    main()
