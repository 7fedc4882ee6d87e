"""Train the LDA of `voiceprints.npz` on synthetic speakers: espeak-ng variants and two flite voices.

    python -m tools.voiceprints.train [--out FILE]

Needs espeak-ng and flite, and one CPU minute. A speaker is a voice with a pitch and a change of tape speed, which moves
the formants. espeak variants read in several languages, so that the LDA learns which differences are language. The voices of the
sample batch (flite slt, rms and awb) and the espeak variants f2, f4, m3, Alicia, belinda, david, Gene2, Mario, paul and steph2 are
not used here, but for evaluation.
"""

import argparse
import io
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from scipy.signal import lfilter
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from podcast_assets.speech.types import SAMPLE_RATE, Samples
from tools.voiceprints.voiceprints import (
    FRAME_RATE,
    WEIGHTS,
    Frames,
    extract_frames,
    window_statistics,
)

VARIANTS = """
    adam Alex Andrea Andy Annie antonio aunty benjamin boris caleb Denis Diogo ed edward edward2 Gene gustave
    announcer Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta Lee linda marcelo Marco max Michael
    michel miguel Mike Nguyen pablo pedro quincy RicishayMax RicishayMax2 RicishayMax3 rob robert steph steph3
    Storm zac anika AnxiousAndy f1 f3 f5 grandma grandpa klatt klatt2 klatt3 klatt4 klatt5 m1 m2 m4 m5 m6 m7
    m8 norbert sandro shelby travis victor
""".split()
LANGUAGES = ("en-us", "en-us", "en-us", "en-gb", "de", "es", "fr-fr", "it", "pt-br", "pl")
SENTENCES = tuple((Path(__file__).with_name("sentences.txt")).read_text().splitlines())
READINGS = 6  # per speaker, two sentences each
DIMENSIONS = 24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    statistics, speakers = [], []
    rng = np.random.default_rng(0)
    for speaker, audio in readings(random.Random(5)):
        features = extract_frames(add_noise_and_tilt(audio, rng))
        pieces = list(crops(features, rng))
        statistics.append(window_statistics(features, pieces))
        speakers += [speaker] * len(pieces)
    x = np.concatenate(statistics)
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-3).fit(x, speakers)
    projection = lda.scalings_[:, :DIMENSIONS].astype(np.float32)
    np.savez(args.out, mean=x.mean(axis=0).astype(np.float32), projection=projection)
    print(f"{len(set(speakers))} speakers, {len(x)} windows -> {args.out} ({args.out.stat().st_size} bytes)")


def readings(rng: random.Random) -> Iterator[tuple[int, Samples]]:
    """Yield speech at 16 kHz with the number of its speaker."""
    people = [
        ("espeak-ng", v, rng.randint(25, 75), rng.randint(145, 195), rng.uniform(0.9, 1.1))
        for v in VARIANTS
        for _ in range(2)
    ]
    people += [("flite", v, 0, 0, speed) for v in ("kal", "kal16") for speed in (0.88, 0.94, 1.0, 1.06, 1.12)]
    for speaker, (program, voice, pitch, rate, speed) in enumerate(people):
        for _ in range(READINGS):
            text = " ".join(rng.sample(SENTENCES, 2))
            if program == "flite":
                audio, sample_rate = flite(text, voice, rng.uniform(0.9, 1.15))
            else:
                audio, sample_rate = espeak(text, f"{rng.choice(LANGUAGES)}+{voice}", pitch, rate)
            audio = soxr.resample(audio, sample_rate * speed, SAMPLE_RATE).astype(np.float32)
            yield speaker, 0.5 * audio / np.abs(audio).max()


def espeak(text: str, voice: str, pitch: int, rate: int) -> tuple[Samples, int]:
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(rate), "--stdout", text]
    wav = bytearray(subprocess.run(command, capture_output=True, check=True).stdout)
    for at in (4, 40):  # a pipe cannot be rewound: espeak-ng leaves the lengths in the header unset
        wav[at : at + 4] = (len(wav) - at - 4).to_bytes(4, "little")
    return sf.read(io.BytesIO(wav), dtype="float32")


def flite(text: str, voice: str, stretch: float) -> tuple[Samples, int]:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", file.name]
        subprocess.run(command, check=True)
        return sf.read(file.name, dtype="float32")


def add_noise_and_tilt(audio: Samples, rng: np.random.Generator) -> Samples:
    """Add noise to most readings and tilt the spectrum of half of them, as microphones and rooms do."""
    if rng.random() < 0.7:
        audio = audio + rng.normal(0, 0.3 * 10 ** -rng.uniform(1.3, 3), len(audio)).astype(np.float32)
    if rng.random() < 0.5:
        audio = np.asarray(lfilter([1, rng.uniform(-0.4, 0.4)], [1], audio), np.float32)
    return audio


def crops(features: Frames, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """Yield windows of 1 to 3 s, half overlapping, between the first and the last loud frame."""
    loud = np.flatnonzero(features.energy > features.energy.max() - 4)
    start, end = int(loud[0]), int(loud[-1])
    while start < end - 60:
        length = int(rng.integers(100, 300))
        yield start / FRAME_RATE, min(start + length, end) / FRAME_RATE
        start += length // 2


if __name__ == "__main__":
    main()
