"""Segmentation of diarized turns: which turns are joined and where long ones are cut.

A diarizer's turns follow the voices. Recognizers, scorers and datasets have other needs: a recognizer takes at most 30 s at once,
and a word before a short pause belongs to the sentence after it. Nothing is dropped here, however short: policies reject by
`duration`, with a reason.

Times are whole milliseconds, as in the ids of segments, so that a segment is the same stretch in every table and file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from podcast_assets.speech import vad
from podcast_assets.speech.boundaries import settle_boundaries
from podcast_assets.speech.transcribers.windows import quietest_point
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Samples, Turn

EMILIA_ABSORBED = 3.0
"""Emilia-Pipe: a turn shorter than this, in seconds, may go to the one before."""
EMILIA_PAUSES = 20.0
"""Emilia-Pipe: a turn longer than this, in seconds, is cut at its longest pauses."""

_MS = SAMPLE_RATE // 1000  # samples
_AROUND = 50
"""Milliseconds over an edge up to which a voice may go on without being an overlap."""


class SegmentationSettings(BaseModel):
    """Settings of segmentation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Literal["asr", "emilia"] = "asr"
    """`asr`: turns are joined first, then their edges are moved off words; what is longer than `longest` is cut where it is
    quietest. `emilia`: those of Emilia-Pipe, which `_apply_emilia_rules` lists."""
    max_gap: float | None = Field(default=0.5, ge=0)
    """Pause in seconds over which one speaker's turns are joined if nobody else speaks in it (`emilia`: shorter than this);
    None joins nothing."""
    longest: float | None = Field(default=30.0, ge=1)
    """Seconds of a segment, at most; None cuts nothing."""
    margin: float = Field(default=0.0, ge=0)
    """`asr`: see `settle_boundaries`, also for `search`."""
    search: float = Field(default=0.0, ge=0)


PRESETS: Mapping[str, SegmentationSettings] = {
    "asr": SegmentationSettings(margin=0.2, search=0.25),
    "emilia": SegmentationSettings(rules="emilia", max_gap=2.0),
    "none": SegmentationSettings(max_gap=None, longest=None),
}
"""`asr` is for recognition: 30 s is Whisper's window. `emilia` is for speech synthesis, as the Emilia dataset was made. `none` is
the diarizer's turns as they are."""

FindSpeech = Callable[[Audio], Sequence[tuple[float, float]]]
"""Stretches of speech in audio, (start, end) in seconds, in order."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Turn with times in milliseconds."""

    start: int
    end: int
    speaker: str | None


def silero(audio: Audio) -> list[tuple[float, float]]:
    """Detect speech with silero-vad's default settings, which Emilia-Pipe uses.

    Raises:
        EngineUnavailable: onnxruntime or faster-whisper is not installed.
    """
    return vad.detect_speech(audio, threshold=0.5, min_speech=0.25, min_silence=0.1, pad=0.03)


def segment(
    diarization: Diarization, audio: Audio, settings: SegmentationSettings, find_speech: FindSpeech = silero
) -> list[Turn]:
    """Return the segments of an episode, in order of their start, all inside the audio.

    Where no two of the diarization's turns overlap, no two segments do. The rules `asr` join the pauses of turns of unknown
    speakers too, as one speaker's.

    Args:
        diarization: its `turns` are segmented; turns without length and parts outside the audio are dropped.
        audio: the episode; read only near edges and possible cuts.
        settings: one of `PRESETS`, or custom settings.
        find_speech: finds the pauses of long turns; used by the rules `emilia` alone.

    Returns:
        Turns whose `overlap` is the share of the segment in which, by `diarization.full`, somebody other than its speaker speaks;
        if the speaker is unknown, in which two speak at once. 0 where `full` is None.
    """
    length = len(audio) // _MS
    spans = _to_spans(diarization.turns, length)
    voices = _SpeakerTimeline(spans + _to_spans(diarization.full or (), length))
    if settings.rules == "emilia":
        found = _apply_emilia_rules(
            [part for span in spans for part in _cut_at_pauses(span, audio, find_speech)], voices, settings
        )
    else:
        found = (
            part
            for span in _settle(_join_spans(spans, voices, settings), audio, voices, settings)
            for part in _cut_where_quiet(span, audio, settings.longest)
        )
    segments = sorted(found, key=lambda s: (s.start, s.end))
    full = None if diarization.full is None else _SpeakerTimeline(_to_spans(diarization.full, length))
    return [Turn(s.start / 1000, s.end / 1000, s.speaker, 0.0 if full is None else full.overlap(s)) for s in segments]


def _join_spans(spans: Sequence[_Span], voices: "_SpeakerTimeline", settings: SegmentationSettings) -> list[_Span]:
    """Join the turns of each speaker over short pauses in which nobody else speaks."""
    joined: list[_Span] = []
    latest: dict[str | None, int] = {}
    for span in spans:
        before = joined[latest[span.speaker]] if span.speaker in latest else None
        if (
            before is not None
            and settings.max_gap is not None
            and span.start - before.end <= settings.max_gap * 1000
            and not voices.others_between(before, span)
        ):
            joined[latest[span.speaker]] = _Span(before.start, max(before.end, span.end), span.speaker)
        else:
            latest[span.speaker] = len(joined)
            joined.append(span)
    return joined


def _settle(
    spans: Sequence[_Span], audio: Audio, voices: "_SpeakerTimeline", settings: SegmentationSettings
) -> list[_Span]:
    """Move the edges of spans off words."""
    ordered = sorted(spans, key=lambda s: (s.start, s.end))

    def overlapping(i: int, j: int) -> bool:
        before, after = ordered[i], ordered[j]
        goes_on = voices.speaks(before.speaker, before.end + _AROUND, before.end + 2 * _AROUND)
        return goes_on or voices.speaks(after.speaker, after.start - 2 * _AROUND, after.start - _AROUND)

    stretches = [(s.start, s.end) for s in ordered]
    settled = settle_boundaries(stretches, audio, overlapping, margin=settings.margin, search=settings.search)
    return [_Span(start, end, s.speaker) for s, (start, end) in zip(ordered, settled, strict=True)]


def _apply_emilia_rules(
    parts: Sequence[_Span], voices: "_SpeakerTimeline", settings: SegmentationSettings
) -> list[_Span]:
    """Apply the rules of Emilia-Pipe (He et al. 2024, arXiv 2407.05361) from the second on; `_cut_at_pauses` is the first.

    The rules of its source (open-mmlab/Amphion, `preprocessors/Emilia`, `SileroVAD.vad` and then `cut_by_speaker_label`):

    1. A turn of at most 20 s stays as it is. In a longer one Silero finds the stretches of speech; the turn is cut at its longest
       pause, and each part again, until a part is shorter than 20 s or a single stretch. A part reaches from the start of its
       first stretch to the end of its last one: pauses at a cut and at the ends of the turn belong to no segment.
    2. A part of 30 s or more is cut into pieces of exactly 30 s and a rest, wherever that is.
    3. A part shorter than 3 s goes to the part before it if that is the same speaker's, the pause between them is shorter than
       2 s, and the two with the pause are shorter than 30 s. A part of 3 s or more always starts a segment.
    4. What is then shorter than 1 s is dropped, and the published dataset has 3 to 30 s.

    2 s and 30 s are `max_gap` and `longest`. Different here: the fourth rule is the policy's, by `duration`; a long turn in which
    Silero hears nothing is kept whole; and what is segmented are the turns with one speaker at a time, where Emilia-Pipe takes
    overlapping ones and leaves out those that end before an earlier one does, so that overlapping speech is in two segments. Turns
    of unknown speakers are never joined.
    """
    longest = None if settings.longest is None else round(settings.longest * 1000)
    segments: list[_Span] = []
    for part in parts:
        if longest is not None and part.end - part.start >= longest:
            starts = range(part.start, part.end, longest)
            segments += [_Span(start, min(start + longest, part.end), part.speaker) for start in starts]
            continue
        before = segments[-1] if segments else None
        if (
            before is not None
            and part.speaker is not None
            and part.speaker == before.speaker
            and part.end - part.start < EMILIA_ABSORBED * 1000
            and settings.max_gap is not None
            and part.start - before.end < settings.max_gap * 1000
            and (longest is None or part.end - before.start < longest)
            and not voices.others_between(before, part)
        ):
            segments[-1] = _Span(before.start, max(before.end, part.end), part.speaker)
        else:
            segments.append(part)
    return segments


def _to_spans(turns: Sequence[Turn], length: int) -> list[_Span]:
    """Clip turns to audio of `length` milliseconds and sort them."""
    spans = (
        _Span(max(0, round(turn.start * 1000)), min(length, round(turn.end * 1000)), turn.speaker) for turn in turns
    )
    return sorted((s for s in spans if s.end > s.start), key=lambda s: (s.start, s.end))


def _cut_where_quiet(span: _Span, audio: Audio, longest_seconds: float | None) -> Iterator[_Span]:
    """Cut a span into pieces of at most that length, in the middle of the quietest fifth of a second of a piece's second half."""
    start = span.start
    if longest_seconds is not None:
        longest = round(longest_seconds * 1000)
        while span.end - start > longest:
            near = audio[start * _MS : min(span.end, start + longest + 1000) * _MS]
            cut = start + quietest_point(near, longest * _MS) // _MS
            yield _Span(start, cut, span.speaker)
            start = cut
    yield _Span(start, span.end, span.speaker)


def _cut_at_pauses(span: _Span, audio: Audio, find_speech: FindSpeech) -> Iterator[_Span]:
    """Apply the first rule of Emilia-Pipe: cut long turns at their longest pauses."""
    if span.end - span.start <= EMILIA_PAUSES * 1000:
        yield span
        return
    found = find_speech(_AudioSlice(audio, span.start * _MS, span.end * _MS))
    speech = [(span.start + round(s * 1000), min(span.end, span.start + round(e * 1000))) for s, e in found]
    if not speech:
        yield span
        return
    todo = [(0, len(speech) - 1)]
    while todo:
        first, last = todo.pop()
        if first == last or speech[last][1] - speech[first][0] < EMILIA_PAUSES * 1000:
            yield _Span(speech[first][0], speech[last][1], span.speaker)
        else:
            cut = max(range(first, last), key=lambda i: speech[i + 1][0] - speech[i][1])
            todo += [(cut + 1, last), (first, cut)]


@dataclass(frozen=True, slots=True)
class _AudioSlice:
    """Slice of audio, in samples, that is read lazily."""

    audio: Audio
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def __getitem__(self, part: slice) -> Samples:
        first, last, _ = part.indices(len(self))
        return self.audio[self.start + first : self.start + last]


class _SpeakerTimeline:
    """Index of turns for queries about a stretch: only nearby turns are examined."""

    def __init__(self, spans: Sequence[_Span]) -> None:
        spans = sorted(spans, key=lambda s: s.start)
        self._codes: dict[str | None, int] = {None: 0}
        self._starts = np.array([s.start for s in spans], np.int64)
        self._ends = np.array([s.end for s in spans], np.int64)
        self._reach = np.maximum.accumulate(self._ends) if spans else self._ends  # the latest end so far
        self._speakers = np.array([self._codes.setdefault(s.speaker, len(self._codes)) for s in spans], np.int64)

    def others_between(self, before: _Span, after: _Span) -> bool:
        """Return whether somebody else speaks in the pause between two turns of one speaker."""
        _, _, others = self._clip_to(before.end, after.start, before.speaker)
        return bool(others.any())

    def speaks(self, speaker: str | None, start: int, end: int) -> bool:
        """Return whether a speaker speaks anywhere in a stretch."""
        _, _, others = self._clip_to(start, end, speaker)
        return bool((~others).any())

    def overlap(self, span: _Span) -> float:
        """Return the share of the span in which another speaker speaks or, if its speaker is unknown, two speak at once."""
        starts, ends, others = self._clip_to(span.start, span.end, span.speaker)
        if span.speaker is not None:
            starts, ends = starts[others], ends[others]
        return _covered_milliseconds(starts, ends, 2 if span.speaker is None else 1) / (span.end - span.start)

    def _clip_to(
        self, start: int, end: int, speaker: str | None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Clip all turns to a stretch: their starts, their ends, and whether each is of another speaker."""
        first, last = np.searchsorted(self._reach, start, "right"), np.searchsorted(self._starts, end, "left")
        starts, ends = np.maximum(self._starts[first:last], start), np.minimum(self._ends[first:last], end)
        inside = starts < ends
        others = self._speakers[first:last] != self._codes.get(speaker, -1)
        return starts[inside], ends[inside], others[inside]


def _covered_milliseconds(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], at_once: int) -> int:
    """Count the milliseconds that lie in at least `at_once` of the stretches."""
    times = np.concatenate([starts, ends])
    order = np.argsort(times)
    count = np.cumsum(np.repeat([1, -1], len(starts))[order])
    return int(np.diff(times[order])[count[:-1] >= at_once].sum()) if len(starts) else 0
