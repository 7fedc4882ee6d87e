"""Recordings that were remuxed, cut, joined, or got the header of another, told by a seed."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream

RATE = 44_100
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", {}),
    "m4a": ("mp4", "aac", {}),
    "mp4": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "mov": ("mov", "libmp3lame", {}),
    "mkv": ("matroska", "aac", {}),
    "live": ("matroska", "libmp3lame", {"live": "1"}),
    "webm": ("webm", "libopus", {}),
    "opus": ("ogg", "libopus", {}),
    "ts": ("mpegts", "aac", {}),
    "flv": ("flv", "libmp3lame", {}),
    "avi": ("avi", "libmp3lame", {}),
    "aac": ("adts", "aac", {}),
    "wav": ("wav", "pcm_s16le", {}),
    "aiff": ("aiff", "pcm_s16be", {}),
    "caf": ("caf", "alac", {}),
    "flac": ("flac", "flac", {}),
}
"""Name → container, encoder, and options of the muxer."""
REMUXED = {
    "libmp3lame": ["mp3", "matroska", "mov", "flv", "avi", "mpegts", "wav"],
    "aac": ["mp4", "matroska", "mov", "flv", "mpegts", "adts"],
    "libopus": ["webm", "ogg", "matroska", "mpegts", "mp4"],
    "pcm_s16le": ["wav", "matroska", "mov", "avi", "caf"],
    "flac": ["flac", "matroska"],
    "alac": ["caf", "mov", "matroska"],
}

Samples = npt.NDArray[np.float32]


def rate_of(codec: str) -> int:
    return 48_000 if codec == "libopus" else RATE


def noise(seconds: float, seed: int, rate: int = RATE) -> Samples:
    """Noise like speech: low, and of changing level, so that each place is found again."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    spectrum = np.fft.rfft(rng.standard_normal(n)) * np.exp(-np.fft.rfftfreq(n, 1 / rate) / 900)
    signal = np.fft.irfft(spectrum, n)
    return (0.2 * signal / np.std(signal) * (1 + 0.8 * np.sin(3 * np.arange(n) / rate))).clip(-1, 1).astype(np.float32)


def found_at(samples: Samples, piece: Samples, rate: int = RATE) -> float:
    """Return the time in seconds at which a piece is found in longer audio."""
    size = 1 << (len(samples) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(piece, size)), size)
    n = len(piece)
    energy = np.cumsum(np.concatenate([[0.0], np.square(samples, dtype=np.float64)]))
    likeness = product[: len(samples) - n + 1] / np.sqrt(np.maximum(energy[n:] - energy[:-n], 1e-2))
    return int(np.argmax(likeness)) / rate


def encoded(
    samples: Samples, container: str, codec: str, options: dict[str, str] | None = None, *, rate: int | None = None
) -> bytes:
    """Encode mono samples as programs do: with timestamps from 0."""
    buffer, rate = io.BytesIO(), rate or rate_of(codec)
    with av.open(buffer, "w", format=container, options=options or {}) as out:
        stream = cast("AudioStream", out.add_stream(codec, rate=rate, layout="mono"))
        if codec.startswith("wma"):
            stream.bit_rate = 128_000
        size = {"libopus": 960, "wmav1": 2048, "wmav2": 2048}.get(codec, 4096)
        fifo = av.AudioFifo()
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        fifo.write(frame)
        for piece in iter(lambda: fifo.read(size, partial=True), None):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def remuxed(
    data: bytes,
    container: str,
    options: dict[str, str] | None = None,
    *,
    keep: Callable[[float], bool] = lambda time: True,
    delay: float = 0.0,
    film: float = 0.0,
) -> bytes:
    """Copy the packets whose time in seconds is kept, behind a delay, and with a film of so many seconds."""
    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", format=container, options=options or {}) as out:
        track = source.streams.audio[0]
        copy = out.add_stream_from_template(track)
        if film:
            picture = cast(
                "Any",
                out.add_stream(
                    "flv" if container == "flv" else "mpeg4", rate=5, width=64, height=48, pix_fmt="yuv420p"
                ),
            )
            for _ in range(round(5 * film)):
                out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
            out.mux(picture.encode(None))
        for packet in source.demux(track):
            if packet.size and packet.pts is not None and keep(float(packet.pts * packet.time_base)):
                packet.pts = packet.dts = packet.pts + round(delay / packet.time_base)
                packet.stream = copy
                out.mux(packet)
    return buffer.getvalue()


def outside(*spans: tuple[float, float]) -> Callable[[float], bool]:
    """Keep what lies in none of the spans."""
    return lambda time: not any(start <= time < end for start, end in spans)


def id3(body: bytes) -> bytes:
    """Wrap frames of an ID3v2.3 tag."""
    size = len(body)
    return b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body


def cover(size: int, seed: int = 0) -> bytes:
    """An ID3v2.3 tag whose cover image has so many random bytes, among which a decoder finds frames."""
    image = b"\0image/png\0\x03\0\x89PNG\r\n\x1a\n" + np.random.default_rng(seed).bytes(size)
    return id3(b"APIC" + struct.pack(">IH", len(image), 0) + image)


_READ_ON = {"mp3", "aac", "ts"}
"""Kinds of which FFmpeg reads two joined files as one."""
_COUNTED = {"wav", "aiff"}
"""Kinds whose header has nothing but the format and sizes, so that another's header changes no audio."""


@dataclass(frozen=True)
class Spliced:
    """A file made from recordings."""

    kind: str
    action: str
    """What was done to the recordings."""
    data: bytes
    plain: list[bytes]
    """Files that FFmpeg reads whole, and that have the same audio one after the other."""


def splice(seed: int) -> Spliced:
    """Return the file that a seed makes."""
    rng = np.random.default_rng(seed)
    kind = list(KINDS)[seed % len(KINDS)]
    container, codec, options = KINDS[kind]
    rate = rate_of(codec)

    def recording(seconds: float, number: int) -> bytes:
        return encoded(noise(seconds, number, rate), container, codec, options, rate=rate)

    def result(action: str, data: bytes, plain: list[bytes] | None = None) -> Spliced:
        return Spliced(kind, action, data, plain or [data])

    data = recording(6.0, seed)
    target = str(rng.choice(REMUXED.get(codec, [container])))
    extra = options if target == container else {}
    match int(rng.integers(0, 9)):
        case 0:
            return result("as it is", data)
        case 1:
            return result(f"remuxed to {target}", remuxed(data, target, extra))
        case 2:
            starts = rng.uniform(0.5, 4.5, int(rng.integers(1, 4)))
            spans = [(float(s), float(s + rng.uniform(0.02, 1.5))) for s in starts]
            return result(f"without packets, in {target}", remuxed(data, target, extra, keep=outside(*spans)))
        case 3:
            keep = outside((-1, float(rng.uniform(0.3, 3))))
            return result(f"without its beginning, in {target}", remuxed(data, target, extra, keep=keep))
        case 4:
            later = float(rng.uniform(0.1, 4))
            into = target if target in ("mp4", "matroska", "mov", "mpegts", "flv", "avi") else "matroska"
            return result(f"late behind a film, in {into}", remuxed(data, into, delay=later, film=5.0))
        case 5:
            other = recording(float(rng.uniform(1, 4)), seed + 1)
            return result("joined", data + other, None if kind in _READ_ON else [data, other])
        case 6:
            other = recording(3.0, seed + 1)
            if kind not in ("mp3", "aac"):
                return result(
                    "joined three times", data + other + data, None if kind in _READ_ON else [data, other, data]
                )
            tag = cover(int(rng.integers(1_000, 300_000)), seed)
            return result("joined, with a cover", data + tag + other, [data + other])
        case 7:
            size = int(rng.integers(40, 400))
            swapped = recording(float(rng.uniform(2, 12)), seed + 1)[:size] + data[size:]
            return result("with another's header", swapped, [data] if kind in _COUNTED else None)
        case _:
            return result("cut off", data[: int(len(data) * rng.uniform(0.2, 0.98))])
