"""Decoding to 16 kHz mono float32: librosa, an ffmpeg pipe, faster-whisper's own, and ours. Speed, level, memory.

    python -m benchmarks.decode [--rounds 7] [--minutes 10] [--hours 3]

The file is an MP3 of 44.1 kHz stereo, 128 kbit/s, made from the sample batch. Each call runs in a fresh process, in turn, after a
call on a short file that takes the imports; CPU time includes child processes. "level" is against the mean of the channels,
computed from the file by PyAV at the original rate. Peak memory is of a fresh process for --hours of audio (Linux).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measured import cpu, peak_memory

RATE = 16_000


def by_librosa(file: str) -> npt.NDArray[np.float32]:
    import librosa

    return librosa.load(file, sr=RATE, mono=True, dtype=np.float32)[0].astype(np.float32, copy=False)


def by_ffmpeg(file: str) -> npt.NDArray[np.float32]:
    """Decode by ffmpeg, as whisper and whisperX do."""
    command = ["ffmpeg", "-nostdin", "-threads", "1", "-i", file, "-f", "s16le", "-ac", "1", "-acodec", "pcm_s16le"]
    result = subprocess.run([*command, "-ar", str(RATE), "-"], capture_output=True, check=True).stdout
    return np.frombuffer(result, np.int16).astype(np.float32) / 32768


def by_faster_whisper(file: str) -> npt.NDArray[np.float32]:
    from faster_whisper.audio import decode_audio

    return np.asarray(decode_audio(file, sampling_rate=RATE))


def by_podcast_assets(file: str) -> npt.NDArray[np.float32]:
    from podcast_assets.audio.decode import decode

    return decode(file)


def by_podcast_assets_in_blocks(file: str) -> npt.NDArray[np.float32]:
    """Decode block by block, as ingest does."""
    from podcast_assets.audio.channels import to_mono
    from podcast_assets.audio.reader import open_audio
    from podcast_assets.audio.resampling import resample

    total, count = 0.0, 0
    with open_audio(file) as reader:
        for block in resample(map(to_mono, reader.blocks()), reader.rate, RATE):
            total += float(np.dot(block, block))
            count += len(block)
    return np.array([np.sqrt(total / count), count], np.float32)


WAYS: dict[str, Callable[[str], npt.NDArray[np.float32]]] = {
    "librosa": by_librosa,
    "ffmpeg pipe": by_ffmpeg,
    "faster-whisper": by_faster_whisper,
    "ours": by_podcast_assets,
    "ours, in blocks": by_podcast_assets_in_blocks,
}


def alone(way: str, file: str) -> None:
    """Run one call in this process."""
    before = cpu()
    # what is imported counts for nobody: it is paid once
    WAYS[way](str(Path(file).with_suffix(".short.mp3")))
    between = cpu()
    audio = WAYS[way](file)
    level = float(audio[0]) if len(audio) == 2 else float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    print(json.dumps({"cpu": cpu() - between, "start": between - before, "level": level, "peak": peak_memory()}))


def make(file: Path, seconds: float) -> float:
    """Write the MP3; return the level of the mean of its channels."""
    import av

    from podcast_assets.audio.decode import decode
    from podcast_assets.demo import BATCH

    left = np.concatenate([decode(BATCH / name, rate=44_100) for name in ("night-science.mp3", "city-music.m4a")])
    block = np.stack([left, 0.7 * np.roll(left, 400)])
    with av.open(str(file), "w") as out:
        stream = out.add_stream("mp3", rate=44_100, layout="stereo", bit_rate=128_000)
        written = 0
        while written < seconds * 44_100:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32), format="fltp", layout="stereo")
            frame.sample_rate = 44_100
            out.mux(stream.encode(frame))
            written += block.shape[1]
        out.mux(stream.encode(None))
    total, count = 0.0, 0
    with av.open(str(file)) as source:
        for frame in source.decode(audio=0):
            mean = frame.to_ndarray().mean(axis=0, dtype=np.float64)
            total, count = total + float(np.dot(mean, mean)), count + len(mean)
    return float(np.sqrt(total / count))


def run(way: str, file: Path) -> dict[str, float]:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.decode", "--alone", way, str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--hours", type=float, default=3)
    parser.add_argument("--alone", nargs=2, metavar=("WAY", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(*arguments.alone)
        return
    with tempfile.TemporaryDirectory() as folder:
        file, long = Path(folder) / "a.mp3", Path(folder) / "long.mp3"
        for name in (file, long):
            make(name.with_suffix(".short.mp3"), 2)
        level = make(file, arguments.minutes * 60)
        make(long, arguments.hours * 3600)
        measurements: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):
            for way in WAYS:
                measurements[way].append(run(way, file))
        print(
            f"| {arguments.minutes:g} min of mp3 | x real time | this ÷ ours, median | least | level, dB | peak for "
            f"{arguments.hours:g} h, MB |\n|---|---|---|---|---|---|"
        )
        ours = [t["cpu"] for t in measurements["ours"]]
        for way, each in measurements.items():
            ratios = [t["cpu"] / o for t, o in zip(each, ours, strict=True)]
            x = arguments.minutes * 60 / statistics.median(t["cpu"] for t in each)
            decibel = 20 * np.log10(each[0]["level"] / level)
            print(
                f"| {way} | {x:.0f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} | {decibel:+.2f} "
                f"| {run(way, long)['peak']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
