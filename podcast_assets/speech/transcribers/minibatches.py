"""Minibatches of windows filled across episodes: many short episodes keep a recognizer as busy as a long one.

An engine cuts episodes into windows and recognizes minibatches of them. This module does the rest: it collects windows into
minibatches, prepares inputs and handles results while another minibatch is computed, and halves the size when memory runs out.
"Out of memory" is therefore not treated as a device error, which ends the stage, even if it names CUDA (`common/errors.py`).
"""

import contextlib
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from podcast_assets.common.errors import is_device_error, is_out_of_memory
from podcast_assets.common.prefetch import prefetch_items
from podcast_assets.speech.transcribers.window_results import PlannedWindow, WindowResult, to_transcripts
from podcast_assets.speech.types import SAMPLE_RATE, UNTRANSCRIBED, EpisodeSpeech, Samples, TranscriptionResult

WAITING_SECONDS = 4 * 3600.0
"""Maximum audio of episodes with pending windows; beyond it, incomplete minibatches are computed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WindowInput:
    """Recognizer input for one window of a minibatch."""

    content: Any
    """Samples of the window, or the result of the engine's `prepare`."""
    seconds: float
    language: str | None
    hints: str | None
    timestamps: bool | None = None
    """See `EpisodeSpeech.timestamps`."""


@dataclass(slots=True)
class _PendingEpisode:
    """Episode with windows that are not recognized yet."""

    speech: EpisodeSpeech
    plan: Sequence[PlannedWindow]
    pending: int
    """Windows without a result."""
    results: dict[int, WindowResult | Exception] = field(default_factory=dict)
    """Index of a window in the plan → its result."""


@dataclass(frozen=True, slots=True)
class _Minibatch:
    """Windows to recognize together."""

    key: Hashable
    windows: Sequence[tuple[_PendingEpisode, int]]
    """Episode, and index of the window in its plan."""


class Batcher:
    """Runs an engine's `recognize` over the windows of many episodes. Not thread-safe."""

    def __init__(
        self,
        engine: str,
        plan: Callable[[EpisodeSpeech], Sequence[PlannedWindow]],
        recognize: Callable[[Hashable, Sequence[WindowInput]], Sequence[WindowResult]],
        batch_size: int,
        prepare: Callable[[Samples], Any] = lambda samples: samples,
        *,
        at_once: int = 1,
    ) -> None:
        """Create a batcher.

        Args:
            engine: name of the engine for transcripts and messages.
            plan: cuts an episode into windows; an error that it raises becomes the episode's result.
            recognize: returns one result per input, in order, for inputs that share a key. Called in a thread.
            batch_size: maximum number of windows recognized together. Halved permanently when memory runs out.
            prepare: computes features of a window's samples in another thread.
            at_once: minibatches recognized at once, each in a thread, 1 or 2. Which windows make a minibatch does not depend on it.
        """
        self._engine = engine
        self._plan = plan
        self._recognize = recognize
        self._prepare = prepare
        self._at_once = at_once
        self.batch_size = batch_size
        self.batches: list[int] = []
        """Sizes of all minibatches so far."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. Minibatches are recognized in threads while the previous results are written."""
        for group in self.transcribe_groups(work):
            yield from group

    def transcribe_groups(self, work: Iterable[EpisodeSpeech]) -> Iterator[list[TranscriptionResult]]:
        """Transcribe episodes, yielding together those that are done at the same time."""
        done: list[TranscriptionResult] = []
        with (
            contextlib.closing(
                prefetch_items(self._fill_minibatches(work, done), self._prepare_inputs, ahead=1)
            ) as prepared,
            contextlib.closing(
                prefetch_items(
                    prepared,
                    lambda item: self._recognize_or_split(item[0].key, item[1].result()),
                    ahead=1,
                    threads=self._at_once,
                )
            ) as recognized,
        ):
            for (minibatch, _), results in recognized:
                for (episode, i), result in zip(minibatch.windows, results.result(), strict=True):
                    episode.results[i] = result
                    episode.pending -= 1
                    if not episode.pending:
                        done.append(self._finish_episode(episode))
                yield done.copy()
                done.clear()
        yield done

    def _fill_minibatches(self, work: Iterable[EpisodeSpeech], done: list[TranscriptionResult]) -> Iterator[_Minibatch]:
        """Fill minibatches as episodes come in; episodes without windows are done at once."""
        waiting: dict[Hashable, list[tuple[_PendingEpisode, int]]] = {}
        held: dict[int, float] = {}
        """Audio of pending windows, which several inputs may share → its seconds."""
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
                    yield _Minibatch(planned.key, waiting.pop(planned.key))
            held = held | {id(speech.audio): len(speech.audio) / SAMPLE_RATE} if waiting else {}
            if sum(held.values()) > WAITING_SECONDS:
                yield from (_Minibatch(key, windows) for key, windows in waiting.items())
                waiting, held = {}, {}
        yield from (_Minibatch(key, windows) for key, windows in waiting.items())

    def _prepare_inputs(self, minibatch: _Minibatch) -> list[WindowInput]:
        inputs = []
        for episode, i in minibatch.windows:
            planned = episode.plan[i]
            speech = episode.speech
            samples = planned.window.samples(speech.audio)
            content, seconds = self._prepare(samples), len(samples) / SAMPLE_RATE
            inputs.append(WindowInput(content, seconds, planned.language, speech.hints, speech.timestamps))
        return inputs

    def _recognize_or_split(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult | Exception]:
        """Recognize a minibatch; if it fails, recognize its windows one by one, so that an error affects only its own window.

        Raises:
            Exception: the device looks broken, which affects every window.
        """
        if len(inputs) > self.batch_size:  # filled before the minibatch size was halved
            return self._recognize_in_parts(key, inputs, self.batch_size)
        try:
            results = self._recognize(key, inputs)
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
        return list(results)

    def _recognize_in_parts(
        self, key: Hashable, inputs: Sequence[WindowInput], size: int
    ) -> list[WindowResult | Exception]:
        return [r for at in range(0, len(inputs), size) for r in self._recognize_or_split(key, inputs[at : at + size])]

    def _finish_episode(self, episode: _PendingEpisode) -> TranscriptionResult:
        results = [episode.results[i] for i in range(len(episode.plan))]
        errors = [r for r in results if isinstance(r, Exception)]
        if errors and len(errors) == len(results):
            return TranscriptionResult(episode.speech, errors[0])
        transcripts = [replace(t, engine=self._engine) for t in to_transcripts(episode.speech, episode.plan, results)]
        lost = sum(UNTRANSCRIBED in t.flags for t in transcripts)
        problem = None
        if lost:
            error = f"{type(errors[0]).__name__}: {errors[0]}"
            problem = f"{self._engine}: {lost} of {len(transcripts)} segments: {error}"
        return TranscriptionResult(episode.speech, transcripts, problem)
