"""Batches of windows filled across episodes: many short episodes keep a recognizer as busy as a long one.

An engine says how an episode is cut into windows, and recognizes a batch of them. What lies between is here: which windows
wait for which batch, features made and results taken while another batch is computed, a batch halved when memory runs out, and
the way back from windows to the turns of their episodes.
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from podcast_assets.common.errors import is_device_error, is_out_of_memory
from podcast_assets.common.prefetch import prefetch_items
from podcast_assets.speech.text_measures import compression_ratio, join_texts
from podcast_assets.speech.transcribers.windows import Window
from podcast_assets.speech.types import (
    LANGUAGE_DIFFERS,
    SAMPLE_RATE,
    UNTRANSCRIBED,
    WORDS_OUTSIDE,
    EpisodeSpeech,
    Samples,
    Transcript,
    TranscriptionResult,
    Turn,
    Word,
)

WAITING_SECONDS = 4 * 3600.0
"""Audio of episodes that wait for their last windows, at most: then batches go that are not full."""
SURELY_ANOTHER = 0.8
"""Probability from which another language than the episode's is told (Emilia's threshold, He et al. 2024)."""
OUTSIDE_SECONDS = 0.1
"""By which the middle of a word may pass the ends of its turn. The last word of a turn often reaches into the silence behind it."""
OUTSIDE_SHARE = 0.2
"""Share of the words outside of their turn from which that is told."""
DECIMALS = 4
"""Of figures that a model gives. What follows depends on how many windows are computed together: sums in another order."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """Window with its language and batch key."""

    window: Window
    key: Hashable = None
    """Only windows of one key are recognized together: of a language, with prompts of one length."""
    language: str | None = None
    """ISO 639-1 code, given or identified."""
    language_probability: float | None = None
    """From the sound; None where that is not known before it is recognized."""


@dataclass(frozen=True, slots=True)
class WindowInput:
    """Recognizer input for one window of a batch."""

    content: Any
    """Its samples, or what the engine's `prepare` makes of them."""
    seconds: float
    language: str | None
    hints: str | None


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Recognizer output for one window."""

    words: Sequence[Word]
    """Times from the start of the window, s. Each as it is written in running text, with a space before it where there is one:
    the text is what they make when they are joined."""
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    temperature: float | None = None
    language_probability: float | None = None
    """Of the language that it was decoded in, from the sound."""
    detected_language: tuple[str, float] | None = None
    """What it sounds most like, ISO 639-1, and the probability."""


@dataclass(slots=True)
class _PendingEpisode:
    """Episode some of whose windows are not recognized yet."""

    speech: EpisodeSpeech
    plan: Sequence[PlannedWindow]
    pending: int
    results: dict[int, WindowResult | Exception] = field(default_factory=dict)


_Batch = tuple[Hashable, Sequence[tuple[_PendingEpisode, int]]]


class Batcher:
    """Runs an engine's `recognize` over the windows of many episodes. Not thread-safe."""

    def __init__(
        self,
        engine: str,
        plan: Callable[[EpisodeSpeech], Sequence[PlannedWindow]],
        recognize: Callable[[Hashable, Sequence[WindowInput]], Sequence[WindowResult]],
        batch_size: int,
        prepare: Callable[[Samples], Any] = lambda samples: samples,
    ) -> None:
        """Create a batcher.

        Args:
            engine: name for the transcripts and messages.
            plan: cuts an episode; an error that it raises is the episode's.
            recognize: gives one recognition per sound, in order; the sounds share the key. Called in a thread, always the same.
            batch_size: windows recognized together at most. Halved for good when memory runs out.
            prepare: makes features of a window's samples, in another thread.
        """
        self._engine = engine
        self._plan = plan
        self._recognize = recognize
        self._prepare = prepare
        self.batch_size = batch_size
        self.batches: list[int] = []
        """Sizes of the batches so far, as they were recognized."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. A batch is recognized in a thread while the previous results are written."""
        done: list[TranscriptionResult] = []
        ahead = prefetch_items(self._fill_batches(work, done), self._prepare_inputs, ahead=1)
        for ((_, some), _), recognized in prefetch_items(
            ahead, lambda b: self._recognize_or_split(b[0][0], b[1].result()), ahead=1
        ):
            for (job, i), recognition in zip(some, recognized.result(), strict=True):
                job.results[i] = recognition
                job.pending -= 1
                if not job.pending:
                    done.append(self._finish_episode(job))
            yield from done
            done.clear()
        yield from done

    def _fill_batches(self, work: Iterable[EpisodeSpeech], done: list[TranscriptionResult]) -> Iterator[_Batch]:
        """Fill batches as episodes come in; episodes without windows are done at once."""
        waiting: dict[Hashable, list[tuple[_PendingEpisode, int]]] = {}
        seconds = 0.0
        for speech in work:
            try:
                plan = self._plan(speech)
            except Exception as error:
                if is_device_error(error):
                    raise
                done.append(TranscriptionResult(speech, error))
                continue
            job = _PendingEpisode(speech, plan, len(plan))
            if not plan:
                done.append(self._finish_episode(job))
            for i, planned in enumerate(plan):
                queue = waiting.setdefault(planned.key, [])
                queue.append((job, i))
                if len(queue) >= self.batch_size:
                    yield planned.key, waiting.pop(planned.key)
            seconds = seconds + len(speech.audio) / SAMPLE_RATE if waiting else 0.0
            if seconds > WAITING_SECONDS:
                yield from waiting.items()
                waiting, seconds = {}, 0.0
        yield from waiting.items()

    def _prepare_inputs(self, batch: _Batch) -> list[WindowInput]:
        sounds = []
        for job, i in batch[1]:
            planned = job.plan[i]
            samples = planned.window.samples(job.speech.audio)
            seconds = len(samples) / SAMPLE_RATE
            sounds.append(WindowInput(self._prepare(samples), seconds, planned.language, job.speech.hints))
        return sounds

    def _recognize_or_split(self, key: Hashable, sounds: Sequence[WindowInput]) -> list[WindowResult | Exception]:
        """Recognize a batch; where it fails as a whole, its windows one by one, so that a bad window is alone with its error.

        Raises:
            Exception: the device looks broken, which concerns every window.
        """
        if len(sounds) > self.batch_size:  # it was filled before memory ran out
            return self._recognize_in_parts(key, sounds, self.batch_size)
        try:
            recognized = list(self._recognize(key, sounds))
        except Exception as error:
            if is_device_error(error):
                raise
            if len(sounds) == 1:
                return [error]
            if not is_out_of_memory(error):
                return self._recognize_in_parts(key, sounds, 1)
            self.batch_size = (len(sounds) + 1) // 2
            log.warning(
                "%s: out of memory with %d windows; continuing with %d", self._engine, len(sounds), self.batch_size
            )
            return self._recognize_in_parts(key, sounds, self.batch_size)
        self.batches.append(len(sounds))
        return list(recognized)

    def _recognize_in_parts(
        self, key: Hashable, sounds: Sequence[WindowInput], size: int
    ) -> list[WindowResult | Exception]:
        return [r for at in range(0, len(sounds), size) for r in self._recognize_or_split(key, sounds[at : at + size])]

    def _finish_episode(self, job: _PendingEpisode) -> TranscriptionResult:
        heard = [job.results[i] for i in range(len(job.plan))]
        errors = [r for r in heard if isinstance(r, Exception)]
        if errors and len(errors) == len(heard):
            return TranscriptionResult(job.speech, errors[0])
        made = [replace(t, engine=self._engine) for t in to_transcripts(job.speech, job.plan, heard)]
        lost = sum(UNTRANSCRIBED in t.flags for t in made)
        trouble = f"{self._engine}: {lost} of {len(made)} segments: {_describe_error(errors[0])}" if lost else None
        return TranscriptionResult(job.speech, made, trouble)


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@dataclass(slots=True)
class _TurnPart:
    """Part of a turn that lies in one window."""

    words: list[Word]
    seconds: float
    result: WindowResult
    planned: PlannedWindow


def to_transcripts(
    speech: EpisodeSpeech, plan: Sequence[PlannedWindow], heard: Sequence[WindowResult | Exception]
) -> list[Transcript]:
    """Build one transcript per turn from the results of the windows.

    The figures of a window (avg_logprob, no_speech_prob) are those of each turn in it, averaged by length where a turn has
    several. A turn of which a window failed is flagged, and has the words of the others.
    """
    parts: list[list[_TurnPart]] = [[] for _ in speech.turns]
    failed: set[int] = set()
    for planned, recognition in zip(plan, heard, strict=True):
        window = planned.window
        if isinstance(recognition, Exception):
            failed.update(p.turn for p in window.pieces)
            continue
        words: list[list[Word]] = [[] for _ in window.pieces]
        at = 0  # a word without times stays with the one before it
        for word in recognition.words:
            start, end = word.start, word.end
            if start is not None and end is not None:
                at, start, end = window.place(start, end)
            words[at].append(Word(word.word, start, end, word.probability))
        for piece, own in zip(window.pieces, words, strict=True):
            parts[piece.turn].append(_TurnPart(own, (piece.end - piece.start) / SAMPLE_RATE, recognition, planned))
    return [
        _build_transcript(turn, own, speech.language, failed=i in failed)
        for i, (turn, own) in enumerate(zip(speech.turns, parts, strict=True))
    ]


def _build_transcript(turn: Turn, parts: Sequence[_TurnPart], language: str | None, *, failed: bool) -> Transcript:
    text = join_texts(["".join(w.word for w in p.words).strip() for p in parts])
    longest = max(parts, key=lambda p: p.seconds, default=None)
    if longest is not None:
        language = longest.planned.language
    temperatures = [p.result.temperature for p in parts if p.result.temperature is not None]
    probability = _weighted_mean([(p.result.language_probability, p.seconds) for p in parts])
    if probability is None and longest is not None:
        probability = _round_figure(longest.planned.language_probability)
    flags = [UNTRANSCRIBED] if failed else []
    if longest is not None and (heard := longest.result.detected_language):
        flags += [LANGUAGE_DIFFERS] if heard[0] != language and heard[1] >= SURELY_ANOTHER else []
    words = [w for p in parts for w in p.words]
    flags += [WORDS_OUTSIDE] if words_lie_outside(turn, words) else []
    return Transcript(
        text=text,
        words=list(fit_words_to_turn(turn, words)),
        language=language,
        language_probability=probability,
        avg_logprob=_weighted_mean([(p.result.avg_logprob, p.seconds) for p in parts]),
        no_speech_prob=_weighted_mean([(p.result.no_speech_prob, p.seconds) for p in parts]),
        compression_ratio=compression_ratio(text),
        temperature=max(temperatures, default=None),
        flags=tuple(flags),
    )


def words_lie_outside(turn: Turn, words: Iterable[Word]) -> bool:
    """Return whether a fifth or more of the timed words have their middle over `OUTSIDE_SECONDS` before or after their turn.

    Such words lie in the silence around turns that are packed into one window, or behind the window. `fit_words_to_turn` moves
    them into the turn, so call this before it.
    """
    first, last = turn.start - OUTSIDE_SECONDS, turn.end + OUTSIDE_SECONDS
    outside = [not first <= (w.start + w.end) / 2 <= last for w in words if w.start is not None and w.end is not None]
    return bool(outside) and sum(outside) >= OUTSIDE_SHARE * len(outside)


def fit_words_to_turn(turn: Turn, words: Iterable[Word]) -> Iterator[Word]:
    """Move words into their turn, none before the end of the previous word: alignment can be a few frames off."""
    before = turn.start
    for word in words:
        start, end = word.start, word.end
        if start is not None and end is not None:
            start = min(max(start, before), turn.end)
            before = end = min(max(end, start), turn.end)
            start, end = round(start, 3), round(end, 3)
        if written := word.word.strip():
            yield Word(written, start, end, _round_figure(word.probability))


def _weighted_mean(weighted: Iterable[tuple[float | None, float]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return _round_figure(sum(value * weight for value, weight in known) / total) if total else None


def _round_figure(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
