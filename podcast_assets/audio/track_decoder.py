"""One audio track: its packets are decoded, what its encoder added is left out, and its frames are put in their places."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from podcast_assets.audio import timing
from podcast_assets.audio.clock import Clock
from podcast_assets.audio.frames import slice_frame
from podcast_assets.common.warned import FileWarning

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_LATE_SECONDS = 1.0
"""Silence before the first sample that is worth a warning. Films are often some frames apart."""
_SHORT_PACKET_SECONDS = 0.002
"""Difference of a packet's duration from its audio that is not rounding: timestamps have a resolution of 1 ms."""


class TrackDecoder:
    """Decoder of an audio track of an open container.

    Args:
        container: the open file.
        stream: the track.
        duration: its duration in seconds by the header; None if undeclared.
    """

    def __init__(self, container: "InputContainer", stream: "AudioStream", duration: float | None) -> None:
        self.stream = stream
        self.packets = 0
        """Packets so far."""
        self.clock = Clock(
            others_start=timing.others_start(container, stream),
            declared_end=timing.declared_end(container, stream, duration),
            drop_overlaps=timing.may_repeat(container),
            follow=timing.follows_timestamps(container),
        )
        self._container = container
        self._codec = stream.codec_context.name
        self._end = timing.audio_end(container, stream)
        self._delay: int | None = None
        self._is_padded = timing.is_padded(self._codec)
        self._last_packet: Packet | None = None
        if self._codec in ("wmav1", "wmav2"):  # libavcodec leaves out two frames, but the transform is late by one
            from av.codec.context import Flags2

            stream.codec_context.flags2 |= Flags2.skip_manual

    def decode(self, packet: "Packet") -> list["AudioFrame"]:
        """Decode a packet.

        Raises:
            av.error.FFmpegError: it cannot be decoded.
        """
        if not self.packets and packet.has_sidedata("skip_samples"):
            self._delay = 0
        self.packets += 1
        frames = packet.decode()
        if self._delay is None and frames:
            self._delay = timing.encoder_delay(self._container, self._codec, bytes(packet)[:2], frames[0])
            self.clock.others_start = timing.others_start(self._container, self.stream, self._delay)
        if self._is_padded and frames:
            self._last_packet = packet
        return frames

    def place(self, frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
        """Yield frames that `decode` returned, in their places and without what the encoder added."""
        placed = self.clock.place(self._without_delay(frames))
        if not self._is_padded:
            yield from placed
            return
        last: AudioFrame | None = None
        for frame in placed:
            if last is not None:
                yield last
            last = frame
        if last is not None:
            excess = round(self._excess_seconds(last) * last.sample_rate)
            if excess < last.samples:
                yield slice_frame(last, 0, last.samples - excess) if excess > 0 else last

    def warnings(self) -> list[FileWarning]:
        """Return what is unusual about the clock."""
        report, found = self.clock.report, []
        if report.lead >= _LATE_SECONDS:
            found.append(
                ("late_start", f"its audio begins {report.lead:.2f} s after its start; silence fills that time")
            )
        if report.gaps:
            places = f"{report.gaps} gaps" if report.gaps > 1 else "a gap"
            found.append(("gaps_filled", f"silence fills {places} of {report.gap:.2f} s in its audio"))
        if report.dropped:
            found.append(
                ("wrong_clock", f"{report.dropped:.2f} s of audio were left out: by its timestamps they overlap")
            )
        if report.jumps:
            found.append(
                (
                    "wrong_clock",
                    f"its timestamps jump in {report.jumps} place(s); the audio goes on without a gap there",
                )
            )
        return [FileWarning(kind, message) for kind, message in found]

    @property
    def is_retimed(self) -> bool:
        """Whether samples have other times than their number gives, after all frames are placed."""
        report = self.clock.report
        return bool(self._delay or report.lead or report.gap or report.dropped)

    def _without_delay(self, frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
        frames = iter(frames)
        skipped = 0
        for frame in frames:
            delay = (self._delay or 0) - skipped
            skipped += frame.samples
            if delay < frame.samples:
                yield slice_frame(frame, delay, frame.samples) if delay > 0 else frame
                break
        yield from frames

    def _excess_seconds(self, last: "AudioFrame") -> float:
        """Return the seconds at the end that are no audio, less than the last packet."""
        length = last.samples / last.sample_rate
        excess = self.clock.seconds_beyond(self._end) if self._end is not None else 0.0
        packet = self._last_packet
        declared = float(packet.duration * packet.time_base) if packet and packet.duration and packet.time_base else 0.0
        if _SHORT_PACKET_SECONDS < length - declared < length:
            excess = max(excess, length - declared)
        return excess if 0.0 < excess < length else 0.0
