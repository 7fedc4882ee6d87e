"""Voice activity side by side: silero-vad's own ONNX loop, and ours. Speed, equality of the timestamps, memory.

    pip install silero-vad
    python -m benchmarks.vad [--real FOLDER] [--rounds 9] [--minutes 10] [--hours 3]

The audio is the sample batch, or the recordings of FOLDER, one after the other until the length is reached. Both use one thread,
rounds alternate between them, and the ratio is that of each round. Memory is the peak of a fresh process for --hours of audio, the
audio included: silero-vad takes a float32 tensor, ours 16-bit samples (Linux only).

silero-vad 6.0 and 6.1 have the weights that faster-whisper carries. Later ones were trained again; their package also has
their weights in the form used here, so that both sides use the same weights, at every setting that an engine uses.
"""

import argparse
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measured import compare, peak_memory
from podcast_assets.speech import vad
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Pcm

Stretches = list[tuple[float, float]]
SETTINGS = (
    {"threshold": 0.5, "min_speech": 0.25, "min_silence": 0.1, "pad": 0.03},  # silero-vad's defaults
    {"threshold": 0.3, "min_speech": 0.1, "min_silence": 0.25, "pad": 0.03},  # the embedded diarizer's
    {"threshold": 0.5, "min_speech": 0.1, "min_silence": 0.3, "pad": 0.15},  # pocketsphinx'
)
TOLERANCE = 1 / SAMPLE_RATE


def peer(audio: Any, model: Any, settings: dict[str, float]) -> Stretches:
    """Return silero-vad's timestamps for a tensor; its loop calls the network once per 32 ms."""
    from silero_vad import get_speech_timestamps

    found = get_speech_timestamps(
        audio,
        model,
        threshold=settings["threshold"],
        min_speech_duration_ms=round(settings["min_speech"] * 1000),
        min_silence_duration_ms=round(settings["min_silence"] * 1000),
        speech_pad_ms=round(settings["pad"] * 1000),
    )
    return [(s["start"] / SAMPLE_RATE, s["end"] / SAMPLE_RATE) for s in found]


def ours(audio: Audio, network: Path, settings: dict[str, float]) -> Stretches:
    return vad.speech_timestamps(vad.speech_probabilities(audio, network), len(audio), **settings)


def peers_network() -> Path:
    """Return the weights of the installed silero-vad in the ONNX form that this project uses."""
    import silero_vad

    sequence = Path(silero_vad.__file__).parent / "data" / "silero_vad_16k_sequence.onnx"
    return sequence if sequence.exists() else vad.model_file()


def recordings(real: Path | None) -> npt.NDArray[np.int16]:
    """Return all recordings concatenated, as 16-bit samples, shape (n,)."""
    from faster_whisper.audio import decode_audio

    from podcast_assets.demo import BATCH

    files = sorted(f for f in (real or BATCH).iterdir() if f.suffix in _AUDIO)
    audio = np.concatenate([np.asarray(decode_audio(str(f), sampling_rate=SAMPLE_RATE), np.float32) for f in files])
    return (audio * 32767).astype(np.int16)


_AUDIO = {".wav", ".flac", ".mp3", ".m4a", ".mp4", ".opus", ".ogg"}


def tiled(tile: npt.NDArray[np.int16], seconds: float) -> npt.NDArray[np.int16]:
    return np.resize(tile, round(seconds * SAMPLE_RATE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder with recordings")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--minutes", type=float, default=10, help="length of a round")
    parser.add_argument("--hours", type=float, default=3, help="length for the peak of memory")
    parser.add_argument("--alone", nargs=2, metavar=("WHO", "TILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        alone(args.alone[0], np.load(args.alone[1]), args.hours * 3600)
    else:
        tile = recordings(args.real)
        speed(Pcm(tiled(tile, args.minutes * 60)), args.rounds)
        memory(tile, args.hours)


def speed(audio: Pcm, count: int) -> None:
    import silero_vad
    import torch

    network, model = peers_network(), silero_vad.load_silero_vad(onnx=True)
    tensor, seconds = torch.from_numpy(audio[:]), len(audio) / SAMPLE_RATE
    total = 0
    for settings in SETTINGS:
        theirs, found = peer(tensor, model, settings), ours(audio, network, settings)
        if len(theirs) != len(found) or not np.allclose(theirs, found, rtol=0, atol=TOLERANCE):
            sys.exit(f"the timestamps differ: silero-vad {version('silero-vad')} has other weights than {network}")
        total += len(found)
    print(f"{total} stretches in {seconds:.0f} s at {len(SETTINGS)} settings: the same timestamps to {TOLERANCE:.1e} s")
    print(f"peer: silero-vad {version('silero-vad')}, its ONNX loop\n")
    candidates = {
        "peer": lambda: peer(tensor, model, SETTINGS[0]),
        "ours, its weights": lambda: ours(audio, network, SETTINGS[0]),
        "ours, faster-whisper's weights": lambda: vad.detect_speech(audio),
    }
    compare(candidates, count, seconds, "s of audio")


def memory(tile: npt.NDArray[np.int16], hours: float) -> None:
    print(
        f"\n| {hours:g} h in a fresh process | audio, MB | peak, MB | beyond the audio, MB |\n|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "tile.npy", tile)
        for who in ("peer", "ours"):
            command = [
                sys.executable,
                "-m",
                "benchmarks.vad",
                "--alone",
                who,
                f"{folder}/tile.npy",
                "--hours",
                str(hours),
            ]
            subprocess.run(command, check=True)


def alone(who: str, tile: npt.NDArray[np.int16], seconds: float) -> None:
    """Run one candidate in this process and print its row."""
    if who == "peer":
        import silero_vad
        import torch

        audio = torch.from_numpy(tiled(tile, seconds).astype(np.float32))
        audio /= 32768
        size = audio.numel() * 4
        peer(audio, silero_vad.load_silero_vad(onnx=True), SETTINGS[0])
    else:
        pcm = tiled(tile, seconds)
        size = pcm.nbytes
        vad.detect_speech(Pcm(pcm))
    peak = peak_memory() * 2**20
    print(f"| {who} | {size / 1e6:.0f} | {peak / 1e6:.0f} | {(peak - size) / 1e6:.0f} |", flush=True)


if __name__ == "__main__":
    main()
