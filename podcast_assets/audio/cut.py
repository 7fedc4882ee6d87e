"""Cutting segments from an original at its full quality."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.downmix import DEFAULT, Downmix, open_blocks
from podcast_assets.audio.errors import TruncatedAudio
from podcast_assets.audio.source import Source


def cut_segments(
    source: Source,
    spans: Sequence[tuple[float, float]],
    *,
    rate: int | None = None,
    mono: bool = True,
    downmix: Downmix = DEFAULT,
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield one array per span, in order, cut to the sample in one pass over the file.

    A span `(start, end)` in seconds covers the samples from `round(start * source_rate)` up to
    `round(end * source_rate)`; an end beyond the audio is clipped. Memory is that of the longest span and a few
    seconds more. Reading stops after the last span.

    Args:
        source: the original recording.
        spans: (start, end) in seconds, sorted by start; they may touch and overlap.
        rate: sample rate of the segments in Hz; None keeps the rate of the source.
        mono: mix the channels to shape (n,); otherwise the shape is (n, channels), of the first track.
        downmix: tracks to read, and how they are mixed.

    Raises:
        ValueError: the spans are not sorted, or a span ends before it starts or starts before 0.
        TruncatedAudio: a span starts beyond the end of the audio.
        AudioError: the file is not audio, has no audio track or is corrupt; see `errors`.
        OSError: the path cannot be opened.
    """
    _check_spans(spans)
    return _cut_spans(source, spans, rate, mono, downmix)


def _cut_spans(
    source: Source, spans: Sequence[tuple[float, float]], rate: int | None, mono: bool, downmix: Downmix
) -> Iterator[npt.NDArray[np.float32]]:
    if not spans:
        return
    with open_blocks(source, downmix, mono=mono) as (source_rate, blocks):
        held: list[npt.NDArray[np.float32]] = []
        first = last = 0  # the samples that `held` covers
        for start, end in spans:
            begin, stop = round(start * source_rate), round(end * source_rate)
            while held and first + len(held[0]) <= begin:
                first += len(held.pop(0))
            while last < stop and (samples := next(blocks, None)) is not None:
                last += len(samples)
                if last > begin:
                    held.append(samples)
                else:
                    first = last
            if begin > last:
                raise TruncatedAudio(f"ends after {last / source_rate:.1f} s, before the segment at {start:.1f} s")
            segment = np.concatenate(held)[begin - first : stop - first] if held else np.zeros((0,), np.float32)
            yield segment if rate in (None, source_rate) else _resample_segment(segment, source_rate, rate)


def _resample_segment(segment: npt.NDArray[np.float32], source_rate: int, rate: int) -> npt.NDArray[np.float32]:
    import soxr

    return soxr.resample(segment, source_rate, rate)


def _check_spans(spans: Sequence[tuple[float, float]]) -> None:
    previous = 0.0
    for start, end in spans:
        if not previous <= start <= end:
            raise ValueError(f"spans must be sorted by start, and each must end after its start: ({start}, {end})")
        previous = start
