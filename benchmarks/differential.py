"""Differential fuzzing: duration and samples of spliced recordings against FFmpeg's decode of the same file.

    python -m benchmarks.differential [--first 0] [--count 300] [--ffmpeg ffmpeg]

Each seed makes one file (see `podcast_assets_tests.audio.spliced`). FFmpeg decodes it with `aresample=async=1:first_pts=0`; without
the program, PyAV does, with the same filter. Three pieces of our audio are looked for in FFmpeg's. Files that differ by more than
20 ms are listed with the reason, where it is one of those that are known, and counted; others are stored under `--keep`.
"""

import argparse
import io
import itertools
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import BlockingIOError as FFmpegBlockingIOError
from av.error import EOFError as FFmpegEOFError
from av.error import FFmpegError
from av.filter import Graph

from podcast_assets.audio.channels import to_mono
from podcast_assets.audio.errors import AudioError
from podcast_assets.audio.reader import AudioReader, open_audio
from podcast_assets_tests.audio.spliced import Samples, Spliced, found_at, splice

FILTER = "aresample=async=1:first_pts=0"
DIFFERENT_SECONDS = 0.02
_PIECE_SECONDS = 0.25
_ADDED_SECONDS = 0.08
"""What an encoder adds at each end at most, of the encoders in use here."""


def by_ffmpeg(data: bytes, rate: int, program: str | None) -> Samples:
    """Decode to mono with FFmpeg."""
    if not program:
        return by_pyav(data, rate)
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        options = ["-map", "0:a:0", "-af", FILTER, "-f", "f32le", "-ac", "1", "-ar", str(rate), "-"]
        # MPEG-TS starts with the first of the streams that are used: without the film it has another clock
        film = ["-map", "0:v?", "-map", "0:a:0", "-c", "copy", "-f", "null", "-"]
        command = [program, "-v", "quiet", "-nostdin", "-i", file.name, *options, *film]
        run = subprocess.run(command, capture_output=True, check=False)
    return np.frombuffer(run.stdout[: len(run.stdout) // 4 * 4], np.float32)


def by_pyav(data: bytes, rate: int) -> Samples:
    """Decode to mono with the filter that FFmpeg uses."""
    pieces: list[Samples] = []
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.audio[0]
        start = (container.start_time or 0) / 1e6
        graph: Graph | None = None
        packets = container.demux(stream)
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                break
            except FFmpegError:
                continue
            for frame in frames:
                if graph is None:
                    graph = Graph()
                    nodes = [
                        graph.add_abuffer(template=stream),
                        graph.add("aresample", FILTER.partition("=")[2]),
                        graph.add("aformat", f"sample_fmts=flt:sample_rates={rate}:channel_layouts=mono"),
                        graph.add("abuffersink"),
                    ]
                    graph.link_nodes(*nodes).configure()
                if frame.pts is not None and frame.time_base:
                    frame.pts -= round(start / frame.time_base)
                graph.push(frame)
                pieces += _pull(graph)
        if graph is not None:
            graph.push(None)
            pieces += _pull(graph)
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _pull(graph: Graph) -> list[Samples]:
    pulled = []
    while True:
        try:
            frame = graph.pull()
        except (FFmpegBlockingIOError, FFmpegEOFError):
            return pulled
        pulled.append(frame.to_ndarray().reshape(-1).astype(np.float32))  # type: ignore[union-attr]


def by_podcast_assets(data: bytes) -> tuple[Samples, int, AudioReader]:
    """Decode to mono at the file's rate."""
    with open_audio(data) as reader:
        blocks = [to_mono(b) for b in reader.blocks()]
        return np.concatenate(blocks), reader.rate, reader


def lags(ours: Samples, theirs: Samples, rate: int) -> list[float]:
    """Return by how many seconds pieces of ours lie earlier than in theirs; pieces of silence are left out."""
    found, n = [], round(_PIECE_SECONDS * rate)
    for share in (0.05, 0.5, 0.9):
        at = int(share * max(0, len(ours) - n))
        piece = ours[at : at + n]
        if len(piece) < n or np.std(piece) < 1e-3:
            continue
        reach = 3 * rate
        first = max(0, at - reach)
        window = theirs[first : at + n + reach]
        if len(window) < n:
            continue
        found.append(first / rate + found_at(window, piece, rate) - at / rate)
    return found


@dataclass(frozen=True)
class Compared:
    """Result of one file."""

    outcome: str
    explained: bool
    details: str = ""


def compare(file: Spliced, program: str | None) -> Compared:
    """Decode a file here and with FFmpeg."""
    try:
        ours, rate, reader = by_podcast_assets(file.data)
    except AudioError as error:
        # raw FLAC has no timestamps, but declares its samples exactly
        expected = file.action in ("cut off", "with another's header", "without packets, in flac")
        return Compared(f"refused ({type(error).__name__}): {file.action}", expected, str(error))
    theirs = np.concatenate([by_ffmpeg(data, rate, program) for data in file.plain])
    longer, early = (len(ours) - len(theirs)) / rate, lags(ours, theirs, rate)
    if abs(longer) <= DIFFERENT_SECONDS and all(abs(e) <= DIFFERENT_SECONDS for e in early):
        return Compared("the same", True)
    warnings = "; ".join(w.message for w in reader.warnings)
    details = f"{longer:+.3f} s longer, pieces {', '.join(f'{e:+.3f}' for e in early)} s early; {warnings}"
    reason = _explain(file, reader, longer, early)
    return Compared(reason or "not explained", reason is not None, details)


def _explain(file: Spliced, reader: AudioReader, longer: float, early: Sequence[float]) -> str | None:
    """Return why we differ from FFmpeg; None if that is not known."""
    added = _ADDED_SECONDS * len(file.plain)
    grows = all(later >= before - 0.005 for before, later in itertools.pairwise(early))
    if all(-0.005 <= e <= added for e in early) and -2 * added <= longer <= 0.005 and grows:
        return "what encoders added, which the container does not tell"
    if any(w.kind == "wrong_clock" for w in reader.warnings):
        return "timestamps that jump are not followed"
    if "header" in file.action and any(w.kind == "wrong_header" for w in reader.warnings):
        return "the header of another file: FFmpeg reads as far as that says"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--ffmpeg", default=shutil.which("ffmpeg"))
    parser.add_argument("--all", action="store_true", help="print the differences that are explained, too")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"))
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    began = time.perf_counter()
    for seed in range(arguments.first, arguments.first + arguments.count):
        file = splice(seed)
        compared = compare(file, arguments.ffmpeg)
        outcomes[compared.outcome] += 1
        if not compared.explained:
            arguments.keep.mkdir(exist_ok=True)
            (arguments.keep / f"{seed}.{file.kind}").write_bytes(file.data)
            print(f"seed {seed} ({file.kind}, {file.action}): {compared.outcome}: {compared.details}", flush=True)
        elif arguments.all and compared.details:
            print(f"seed {seed} ({file.kind}, {file.action}): {compared.outcome}: {compared.details}", flush=True)
    print(f"{arguments.count} files in {time.perf_counter() - began:.0f} s: {dict(outcomes.most_common())}")


if __name__ == "__main__":
    main()
