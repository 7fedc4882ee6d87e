"""Minibatches of windows filled across episodes: many short episodes keep a recognizer as busy as a long one.

An engine cuts episodes into windows and recognizes minibatches of them. This module does the rest: it collects windows into
minibatches, prepares inputs and handles results while another minibatch is computed, halves the size when memory runs out, and maps
results back to the turns of their episodes.
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
"""Most audio of episodes with pending windows; beyond it, incomplete batches are computed."""
SURELY_ANOTHER = 0.8
"""Probability at which a different language is flagged (Emilia's threshold, He et al. 2024)."""
OUTSIDE_SECONDS = 0.1
"""Tolerance for the middle of a word outside its turn. The last word of a turn often reaches into the silence after it."""
OUTSIDE_SHARE = 0.2
"""Share of words outside of their turn at which the turn is flagged."""
DECIMALS = 4
"""Decimals of a model's figures. Further ones depend on the batch size, which changes the order of sums."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """Window with its language and batch key."""

    window: Window
    key: Hashable = None
    """Only windows with the same key are recognized together: for instance, one language and one prompt length."""
    language: str | None = None
    """ISO 639-1 code, given or identified."""
    language_probability: float | None = None
    """Probability by the audio; None if unknown before recognition."""


@dataclass(frozen=True, slots=True)
class WindowInput:
    """Recognizer input for one window of a batch."""

    content: Any
    """Samples of the window, or the result of the engine's `prepare`."""
    seconds: float
    language: str | None
    hints: str | None


@dataclass(frozen=True, slots=True)
class WindowResult:
    """Recognizer output for one window."""

    words: Sequence[Word]
    """Words with times in seconds from the start of the window, each with its leading space; joined, they are the text."""
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    temperature: float | None = None
    language_probability: float | None = None
    """Probability, by the audio, of the language of decoding."""
    detected_language: tuple[str, float] | None = None
    """Most probable language by the audio (ISO 639-1), and its probability."""


@dataclass(slots=True)
class _PendingEpisode:
    """Episode with windows that are not recognized yet."""

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
            engine: name of the engine for transcripts and messages.
            plan: cuts an episode into windows; an error that it raises becomes the episode's result.
            recognize: returns one result per input, in order, for inputs that share a key. Always called in the same thread.
            batch_size: most windows recognized together. Halved permanently when memory runs out.
            prepare: computes features of a window's samples in another thread.
        """
        self._engine = engine
        self._plan = plan
        self._recognize = recognize
        self._prepare = prepare
        self.batch_size = batch_size
        self.batches: list[int] = []
        """Sizes of all batches so far."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. A batch is recognized in a thread while the previous results are written."""
        done: list[TranscriptionResult] = []
        ahead = prefetch_items(self._fill_batches(work, done), self._prepare_inputs, ahead=1)
        for ((_, some), _), recognized in prefetch_items(
            ahead, lambda b: self._recognize_or_split(b[0][0], b[1].result()), ahead=1
        ):
            for (episode, i), result in zip(some, recognized.result(), strict=True):
                episode.results[i] = result
                episode.pending -= 1
                if not episode.pending:
                    done.append(self._finish_episode(episode))
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
            episode = _PendingEpisode(speech, plan, len(plan))
            if not plan:
                done.append(self._finish_episode(episode))
            for i, planned in enumerate(plan):
                queue = waiting.setdefault(planned.key, [])
                queue.append((episode, i))
                if len(queue) >= self.batch_size:
                    yield planned.key, waiting.pop(planned.key)
            seconds = seconds + len(speech.audio) / SAMPLE_RATE if waiting else 0.0
            if seconds > WAITING_SECONDS:
                yield from waiting.items()
                waiting, seconds = {}, 0.0
        yield from waiting.items()

    def _prepare_inputs(self, batch: _Batch) -> list[WindowInput]:
        inputs = []
        for episode, i in batch[1]:
            planned = episode.plan[i]
            samples = planned.window.samples(episode.speech.audio)
            seconds = len(samples) / SAMPLE_RATE
            inputs.append(WindowInput(self._prepare(samples), seconds, planned.language, episode.speech.hints))
        return inputs

    def _recognize_or_split(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult | Exception]:
        """Recognize a batch; if it fails, recognize its windows one by one, so that an error affects only its own window.

        Raises:
            Exception: the device looks broken, which affects every window.
        """
        if len(inputs) > self.batch_size:  # filled before the batch size was halved
            return self._recognize_in_parts(key, inputs, self.batch_size)
        try:
            recognized = list(self._recognize(key, inputs))
        except Exception as error:
            if is_device_error(error):
                raise
            if len(inputs) == 1:
                return [error]
            if not is_out_of_memory(error):
                return self._recognize_in_parts(key, inputs, 1)
            self.batch_size = (len(inputs) + 1) // 2
            log.warning(
                "%s: out of memory with %d windows; continuing with %d", self._engine, len(inputs), self.batch_size
            )
            return self._recognize_in_parts(key, inputs, self.batch_size)
        self.batches.append(len(inputs))
        return list(recognized)

    def _recognize_in_parts(
        self, key: Hashable, inputs: Sequence[WindowInput], size: int
    ) -> list[WindowResult | Exception]:
        return [r for at in range(0, len(inputs), size) for r in self._recognize_or_split(key, inputs[at : at + size])]

    def _finish_episode(self, episode: _PendingEpisode) -> TranscriptionResult:
        results = [episode.results[i] for i in range(len(episode.plan))]
        errors = [r for r in results if isinstance(r, Exception)]
        if errors and len(errors) == len(results):
            return TranscriptionResult(episode.speech, errors[0])
        made = [replace(t, engine=self._engine) for t in to_transcripts(episode.speech, episode.plan, results)]
        lost = sum(UNTRANSCRIBED in t.flags for t in made)
        problem = f"{self._engine}: {lost} of {len(made)} segments: {_describe_error(errors[0])}" if lost else None
        return TranscriptionResult(episode.speech, made, problem)


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
    speech: EpisodeSpeech, plan: Sequence[PlannedWindow], results: Sequence[WindowResult | Exception]
) -> list[Transcript]:
    """Build one transcript per turn from the results of the windows.

    The figures of a window (avg_logprob, no_speech_prob) apply to each turn in it; a turn with several windows gets their mean
    weighted by length. A turn with a failed window is flagged and has the words of the other windows.
    """
    parts: list[list[_TurnPart]] = [[] for _ in speech.turns]
    failed: set[int] = set()
    for planned, result in zip(plan, results, strict=True):
        window = planned.window
        if isinstance(result, Exception):
            failed.update(p.turn for p in window.pieces)
            continue
        words: list[list[Word]] = [[] for _ in window.pieces]
        at = 0  # a word without times belongs to the piece of the previous word
        for word in result.words:
            start, end = word.start, word.end
            if start is not None and end is not None:
                at, start, end = window.place(start, end)
            words[at].append(Word(word.word, start, end, word.probability))
        for piece, own in zip(window.pieces, words, strict=True):
            parts[piece.turn].append(_TurnPart(own, (piece.end - piece.start) / SAMPLE_RATE, result, planned))
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
    if longest is not None and (detected := longest.result.detected_language):
        flags += [LANGUAGE_DIFFERS] if detected[0] != language and detected[1] >= SURELY_ANOTHER else []
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

    Such words lie in the silence between packed turns or after the window. Call this before `fit_words_to_turn`, which moves them
    into the turn.
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
