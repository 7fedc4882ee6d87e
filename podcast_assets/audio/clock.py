"""The clock of a recording: where each decoded frame lies in time.

Time is the presentation time of the file minus its container's start time. What a container leaves out becomes silence, as
with FFmpeg's `aresample=async=1`, and what it has twice is left out once, so that all times after it are right.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podcast_assets.audio.frames import make_silence, slice_frame

if TYPE_CHECKING:
    from av import AudioFrame

_TOLERANCE_SECONDS = 0.1
"""Difference of timestamps from the samples so far that is left alone: swresample's `min_hard_comp`."""
_LEAST_LEAD_SECONDS = 0.001
"""Shortest silence before the first sample: timestamps have a resolution of 1 ms."""
_PLAIN_GAP_SECONDS = 10.0
"""Longest gap that is believed at once; a longer one must be followed by consistent timestamps."""
_CONFIRMED_SECONDS = 1.0
"""Audio with consistent timestamps after a long gap."""
_LONGEST_GAP_SECONDS = 3_600.0
"""Longest gap that is filled, unless the container declares a duration that covers it."""
_OVERLAP_SECONDS, _OVERLAP_SHARE = 1.0, 0.02
"""Longest repetition that is left out at once, and share of all audio that may be left out: never lose much of it."""
_KEPT_OFFSETS = 16


@dataclass(slots=True)
class ClockReport:
    """What was done to keep to a file's clock, in seconds."""

    lead: float = 0.0
    """Silence before the first sample, because the audio begins after the video."""
    gap: float = 0.0
    """Silence in gaps."""
    gaps: int = 0
    """Number of gaps."""
    dropped: float = 0.0
    """Audio left out, because its time was over."""
    jumps: int = 0
    """Timestamps that were not followed, because they jump back or too far ahead."""


class Clock:
    """Puts the frames of one audio track in their places.

    Args:
        others_start: earliest start time of the container's other tracks in seconds; None without other tracks.
        declared_end: end of the track in seconds by the container, on the same scale as the frames; None if unknown.
        drop_overlaps: whether audio whose time is over is left out; otherwise it is kept, and what follows is later.
        follow: whether timestamps are followed; otherwise samples are counted.
    """

    def __init__(
        self,
        *,
        others_start: float | None = None,
        declared_end: float | None = None,
        drop_overlaps: bool = True,
        follow: bool = True,
    ) -> None:
        self.report = ClockReport()
        self.others_start = others_start
        self._declared_end, self._drop_overlaps = declared_end, drop_overlaps
        self._follow = follow
        self._position = 0.0
        self._offset = math.inf  # of timestamps against the position; unknown before the first timestamp
        self._earlier_offsets: list[float] = []
        self._most_behind = _TOLERANCE_SECONDS
        self._held: list[AudioFrame] = []
        self._held_start = self._held_end = 0.0

    def place(self, frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
        """Yield the frames, and silence where nothing was recorded."""
        yield from self._place_frames(frames)
        while self._held:
            short = self._gap_before_held() <= _PLAIN_GAP_SECONDS
            yield from self._release_held(believed=short or self._is_declared(self._held_end))

    def _place_frames(self, frames: Iterable["AudioFrame"]) -> Iterator["AudioFrame"]:
        for frame in frames:
            time = frame.time if self._follow or self._offset == math.inf else None
            if self._held:
                if time is not None and self._continues(time):
                    self._hold(frame, time)
                    if self._is_confirmed():
                        yield from self._release_held(believed=True)
                    continue
                yield from self._release_held(believed=False)
            if time is None or -self._most_behind <= time - self._offset - self._position <= _TOLERANCE_SECONDS:
                self._position += frame.samples / frame.sample_rate
                self._most_behind = _TOLERANCE_SECONDS
                yield frame
            else:
                yield from self._place_displaced(frame, time)

    @property
    def content_seconds(self) -> float:
        """Seconds from the first sample to the end."""
        return self._position - self.report.lead

    def seconds_beyond(self, time: float) -> float:
        """Return by how much the audio so far goes beyond a presentation time."""
        return -self._drift(time)

    def _place_displaced(self, frame: "AudioFrame", time: float) -> Iterator["AudioFrame"]:
        """Place the first frame, or one whose timestamp does not follow from the frames before it."""
        if self._offset == math.inf:
            start = time - self._position
            self._offset = start if self.others_start is None or not self._follow else min(start, self.others_start)
            if (lead := self._drift(time)) <= _TOLERANCE_SECONDS:
                if lead >= _LEAST_LEAD_SECONDS:
                    yield from self._fill(frame, lead)
                yield from self._emit(frame)
                return
        elif self._is_on_earlier_clock(time):
            yield from self._emit(frame)
            return
        drift = self._drift(time)
        if drift > 0:
            self._hold(frame, time)
        else:
            yield from self._drop_overlap(frame, -drift)

    def _drift(self, time: float) -> float:
        """Return by how much a time lies after the end of the audio so far."""
        return time - self._offset - self._position

    def _is_on_earlier_clock(self, time: float) -> bool:
        """Return whether the timestamps went back to a clock from which they jumped away; it holds again then."""
        for offset in reversed(self._earlier_offsets):
            if abs(time - offset - self._position) <= _TOLERANCE_SECONDS:
                self._change_offset(offset)
                return True
        return False

    def _change_offset(self, offset: float) -> None:
        """Go on without a gap from timestamps that jump."""
        self._earlier_offsets = [*self._earlier_offsets[-_KEPT_OFFSETS:], self._offset]
        self._offset = offset

    def _drop_overlap(self, frame: "AudioFrame", seconds: float) -> Iterator["AudioFrame"]:
        allowed = max(_OVERLAP_SECONDS, _OVERLAP_SHARE * self._position)
        if not self._drop_overlaps or seconds > _OVERLAP_SECONDS or self.report.dropped + seconds > allowed:
            self._change_offset(self._offset - seconds)
            self.report.jumps += self._drop_overlaps
            yield from self._emit(frame)
            return
        samples = min(round(seconds * frame.sample_rate), frame.samples)
        self.report.dropped += samples / frame.sample_rate
        self._most_behind = 0.0  # what remains of this repetition is left out to the sample
        if samples < frame.samples:
            self._most_behind = _TOLERANCE_SECONDS
            yield from self._emit(slice_frame(frame, samples, frame.samples))

    def _continues(self, time: float) -> bool:
        """Return whether a time goes on from the held frames."""
        ahead = time - self._held_end
        return -_TOLERANCE_SECONDS <= ahead <= _PLAIN_GAP_SECONDS

    def _hold(self, frame: "AudioFrame", time: float) -> None:
        if not self._held:
            self._held_start = time
        self._held.append(frame)
        self._held_end = time + frame.samples / frame.sample_rate

    def _gap_before_held(self) -> float:
        return self._drift(self._held_start)

    def _is_confirmed(self) -> bool:
        return self._gap_before_held() <= _PLAIN_GAP_SECONDS or self._held_end - self._held_start >= _CONFIRMED_SECONDS

    def _is_declared(self, time: float) -> bool:
        return self._declared_end is not None and time <= self._declared_end + _CONFIRMED_SECONDS

    def _release_held(self, *, believed: bool) -> Iterator["AudioFrame"]:
        """Yield the held frames, after a silence if the gap before them is believed."""
        held, gap, end = self._held, self._gap_before_held(), self._held_end
        self._held = []
        if not believed:
            self.report.jumps += 1
            for frame in held:
                yield from self._emit(frame)
            return
        if gap <= _LONGEST_GAP_SECONDS or self._is_declared(end):
            yield from self._fill(held[0], gap)
        else:
            self._change_offset(self._offset + gap)
            self.report.jumps += 1
        yield from self._emit(held[0])
        yield from self._place_frames(held[1:])

    def _fill(self, like: "AudioFrame", seconds: float) -> Iterator["AudioFrame"]:
        if self._position == 0.0:
            self.report.lead = seconds
        else:
            self.report.gap += seconds
            self.report.gaps += 1
        remaining = round(seconds * like.sample_rate)
        while remaining > 0:
            samples = min(remaining, like.sample_rate)
            remaining -= samples
            yield from self._emit(make_silence(like, samples))

    def _emit(self, frame: "AudioFrame") -> Iterator["AudioFrame"]:
        self._position += frame.samples / frame.sample_rate
        yield frame
