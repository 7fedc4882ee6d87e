"""Cutting and encoding segments: pydub, one ffmpeg per segment, and ours. CPU and wall time of the same segments.

    python -m benchmarks.packaging [--rounds 3] [--codecs flac,opus,mp3] [--episodes 2] [--minutes 10] [--segments 160]
    python -m benchmarks.packaging --rounds 1 --codecs flac --episodes 8 --minutes 60 --segments 5000 --cold        # half an hour

Episodes are MP3s of 44.1 kHz stereo, 128 kbit/s, made from the sample batch; segments of 1 to 12 s, cut to mono at 24 kHz. Each in
turn, on one thread; ffmpeg's and pydub's children count. pydub decodes an episode once and starts an ffmpeg per segment to encode;
ffmpeg alone seeks, decodes and encodes per segment. All write what they encode. That all give segments of the same length is
asserted. "ours with 2 threads" does two episodes at once, as the stage does.
"""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measured import WHOLE, compare
from podcast_assets import demo
from podcast_assets.audio.cut import cut_segments
from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import Codec, encode
from podcast_assets.shards.members import MembersWriter

RATE, SOURCE_RATE = 24_000, 44_100
OPTIONS: dict[Codec, list[str]] = {
    "flac": ["-c:a", "flac"],
    "opus": ["-c:a", "libopus", "-b:a", "32k", "-compression_level", "5"],
    "mp3": ["-c:a", "libmp3lame", "-b:a", "64k"],
}


@dataclass(frozen=True)
class Episode:
    path: Path
    spans: Sequence[tuple[float, float]]


def by_pydub(episodes: Sequence[Episode], codec: Codec, folder: Path) -> None:
    from pydub import AudioSegment

    for episode in episodes:
        whole = AudioSegment.from_file(episode.path)
        for start, end in episode.spans:
            cut = whole[round(start * 1000) : round(end * 1000)].set_channels(1).set_frame_rate(RATE)
            cut.export(folder / f"{episode.path.stem}-{start}-{end}.{codec}", format=codec, parameters=OPTIONS[codec])


def by_ffmpeg(episodes: Sequence[Episode], codec: Codec, folder: Path) -> None:
    for episode in episodes:
        for start, end in episode.spans:
            command = [
                "ffmpeg",
                "-nostdin",
                "-loglevel",
                "error",
                "-threads",
                "1",
                "-ss",
                f"{start:.3f}",
                "-t",
                f"{end - start:.3f}",
            ]
            target = folder / f"{episode.path.stem}-{start}-{end}.{codec}"
            subprocess.run(
                [*command, "-i", str(episode.path), "-ac", "1", "-ar", str(RATE), *OPTIONS[codec], str(target)],
                check=True,
            )


def by_podcast_assets(episodes: Sequence[Episode], codec: Codec, folder: Path) -> None:
    for episode in episodes:
        with (folder / f"{episode.path.stem}.encoded").open("wb") as file:
            members = MembersWriter(file)
            cut = cut_segments(episode.path, episode.spans, rate=RATE)
            for (start, end), audio in zip(episode.spans, cut, strict=True):
                members.add(f"{start}-{end}", b"{}", encode(audio, RATE, codec), rate=RATE, channels=1)
            members.rows()


def by_podcast_assets_in_threads(episodes: Sequence[Episode], codec: Codec, folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda e: by_podcast_assets([e], codec, folder), episodes))


WAYS: dict[str, Callable[[Sequence[Episode], Codec, Path], None]] = {
    "pydub": by_pydub,
    "one ffmpeg per segment": by_ffmpeg,
    "ours": by_podcast_assets,
    "ours with 2 threads": by_podcast_assets_in_threads,
}


def make_episodes(folder: Path, count: int, minutes: float, segments: int) -> list[Episode]:
    batch = Path(demo.__file__).parent / "batch"
    talk = np.concatenate([decode(batch / name, rate=SOURCE_RATE) for name in WHOLE])
    long = np.tile(talk, int(minutes * 60 * SOURCE_RATE / len(talk)) + 1)[: round(minutes * 60 * SOURCE_RATE)]
    data = encode(np.stack([long, np.roll(long, 30)], axis=1), SOURCE_RATE, "mp3", bit_rate=128_000)
    episodes = []
    for number in range(count):
        path = folder / f"episode-{number}.mp3"
        path.write_bytes(data)
        dice = np.random.default_rng(number)
        each = segments // count
        starts = np.sort(dice.uniform(0, minutes * 60 - 13, each)).round(3)
        lengths = dice.uniform(1, 12, each).round(3)
        episodes.append(
            Episode(path, [(float(s), round(float(s + n), 3)) for s, n in zip(starts, lengths, strict=True)])
        )
    return episodes


def check(episodes: Sequence[Episode], folder: Path) -> None:
    """Check the lengths of all segments: exactly for ours, to 2 ms for the others."""
    start, end = episodes[0].spans[1]
    one = [Episode(episodes[0].path, [(start, end)])]
    for way in (by_pydub, by_ffmpeg):
        way(one, "flac", folder)
        (made,) = folder.glob("*.flac")
        assert abs(len(decode(made, rate=RATE)) / RATE - (end - start)) < 0.002, way
        made.unlink()
    (ours,) = cut_segments(one[0].path, one[0].spans, rate=RATE)
    assert abs(len(ours) - (end - start) * RATE) <= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codecs", default="flac,opus,mp3")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--segments", type=int, default=160)
    parser.add_argument("--cold", action="store_true", help="not once before it is measured, where one round is long")
    parser.add_argument("--ways", default=",".join(WAYS), help="the first is the peer")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        episodes = make_episodes(Path(top), arguments.episodes, arguments.minutes, arguments.segments)
        count = sum(len(e.spans) for e in episodes)
        scratch = Path(top) / "out"

        def in_new_folder(way: Callable[[Sequence[Episode], Codec, Path], None], codec: Codec) -> Callable[[], None]:
            def work() -> None:
                shutil.rmtree(scratch, ignore_errors=True)
                scratch.mkdir()
                way(episodes, codec, scratch)

            return work

        scratch.mkdir()
        check(episodes, scratch)
        for codec in arguments.codecs.split(","):
            print(f"\n{codec}: {count} segments of {len(episodes)} episodes of {arguments.minutes:g} minutes")
            compare(
                {name: in_new_folder(WAYS[name], codec) for name in arguments.ways.split(",")},
                arguments.rounds,
                count,
                "segments",
                warm=not arguments.cold,
            )


if __name__ == "__main__":
    main()
