"""Transcriber that holds each transcript against the speech in its turn, and has what falls short transcribed again.

What falls short is a turn with speech that no word accounts for, or with a text that was not spoken. It is tried again in the ways
that the engine offers, until one gives a sound text for all of the speech; of several, the one that leaves the least speech without
words is used. The attempts go into the engine's own stream of work, so that they fill its minibatches.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from podcast_assets.common.errors import is_device_error
from podcast_assets.speech.coverage.attempts import build_input, join_parts
from podcast_assets.speech.coverage.gaps import Span, spoken_seconds, uncovered_seconds
from podcast_assets.speech.text_measures import LOOP_RATIO, compression_ratio
from podcast_assets.speech.transcribers.context import drop_doubled_again
from podcast_assets.speech.types import (
    SAMPLE_RATE,
    UNCOVERED_SPEECH,
    UNTRANSCRIBED,
    Attempt,
    EpisodeSpeech,
    Transcriber,
    Transcript,
    TranscriptionResult,
    Turn,
)
from podcast_assets.speech.vad import detect_speech

GAIN = 0.25
"""Seconds of speech that a transcript has to cover more than another one to replace it, if both are sound."""
SILENCE = 0.3
"""Seconds of speech in a turn up to which an empty text is right."""

AROUND = 1.0
"""Seconds before and after a turn in which the detector of speech listens too, because it needs a moment to settle."""
DONE_AGAIN = frozenset({"loop", "known_phrase", "too_fast"})
"""Signs of a hallucination for which a text is done again: what another decoding may not repeat. A wrong language it would."""
HOPELESS = 10
"""Turns of an episode of which an attempt has to help one; else no other attempt is made. Music is taken for speech all along."""

FindHallucinations = Callable[[Sequence[Turn], Sequence[Transcript], Sequence[int]], Sequence[Collection[str]]]
"""Finds for each turn the signs that its text was not spoken, such as "loop"; empty if there are none. The numbers are those of
the turns' episodes."""


def find_loops(
    turns: Sequence[Turn], transcripts: Sequence[Transcript], episodes: Sequence[int]
) -> list[Collection[str]]:
    """Find hallucinations by the one rule that needs no other knowledge of texts."""
    return [["loop"] if (compression_ratio(t.text) or 0.0) > LOOP_RATIO else [] for t in transcripts]


class Coverage:
    """Coverage of one episode's turns."""

    def __init__(self, speech: EpisodeSpeech, find_hallucinations: FindHallucinations) -> None:
        self.speech = speech
        self._find_hallucinations = find_hallucinations
        self._judged: tuple[Sequence[Transcript], Sequence[Collection[str]]] | None = None
        """The transcripts that were judged last, whose texts do not change, and what was found."""
        self._spoken: dict[int, list[Span]] = {}

    def measure(self, transcripts: Sequence[Transcript]) -> list[Transcript]:
        """Return the transcripts with the seconds that they leave uncovered, and the flag that says so."""
        measured = []
        for i, (turn, transcript) in enumerate(zip(self.speech.turns, transcripts, strict=True)):
            seconds = uncovered_seconds(turn, transcript, [(turn.start, turn.end)])
            if seconds:  # else it does not matter where in the turn there is speech
                seconds = uncovered_seconds(turn, transcript, self.spoken(i))
            flags = [f for f in transcript.flags if f != UNCOVERED_SPEECH] + [UNCOVERED_SPEECH] * (seconds > 0)
            measured.append(replace(transcript, uncovered=seconds, flags=tuple(flags)))
        return measured

    def spoken(self, index: int) -> list[Span]:
        """Return where there is speech in a turn and around it, in order."""
        if index not in self._spoken:
            turn = self.speech.turns[index]
            first = max(0, round((turn.start - AROUND) * SAMPLE_RATE))
            found = detect_speech(self.speech.audio[first : round((turn.end + AROUND) * SAMPLE_RATE)])
            self._spoken[index] = [(first / SAMPLE_RATE + a, first / SAMPLE_RATE + b) for a, b in found]
        return self._spoken[index]

    def falls_short(self, transcripts: Sequence[Transcript]) -> list[int]:
        """Return the turns whose measured transcript leaves speech uncovered or was not spoken. What failed is not among them."""
        invented = self._invented(transcripts)
        return [
            i
            for i, (transcript, signs) in enumerate(zip(transcripts, invented, strict=True))
            if (transcript.uncovered or not DONE_AGAIN.isdisjoint(signs)) and UNTRANSCRIBED not in transcript.flags
        ]

    def choose(
        self, transcripts: Sequence[Transcript], others: dict[int, Transcript]
    ) -> tuple[list[Transcript], set[int]]:
        """Replace transcripts by others that are better.

        Args:
            transcripts: measured, one per turn.
            others: index of a turn → another transcript of it.

        Returns:
            The better ones, and the turns that were replaced.
        """
        candidates = self.measure([others.get(i, t) for i, t in enumerate(transcripts)])
        invented = self._invented(transcripts)
        invented_too = self._invented(candidates)
        chosen, replaced = list(transcripts), set[int]()
        for i in others:
            if UNTRANSCRIBED in candidates[i].flags or len(invented_too[i]):
                continue
            gain = (transcripts[i].uncovered or 0.0) - (candidates[i].uncovered or 0.0)
            empty = not candidates[i].text.strip()
            if gain > GAIN or (len(invented[i]) > 0 and (not empty or self._is_silent(i))):
                chosen[i] = replace(candidates[i], redone=transcripts[i].redone)
                replaced.add(i)
        return chosen, replaced

    def keep_judgement(self, transcripts: Sequence[Transcript], found: Sequence[Collection[str]]) -> None:
        """Take what was found in transcripts of this episode, which then need not be judged again."""
        self._judged = transcripts, found

    def _invented(self, transcripts: Sequence[Transcript]) -> Sequence[Collection[str]]:
        if self._judged is None or self._judged[0] is not transcripts:
            turns = self.speech.turns
            self.keep_judgement(transcripts, self._find_hallucinations(turns, transcripts, [0] * len(turns)))
        assert self._judged is not None
        return self._judged[1]

    def _is_silent(self, index: int) -> bool:
        return spoken_seconds(self.speech.turns[index], self.spoken(index)) <= SILENCE


@dataclass
class _Episode:
    """Episode with turns that are transcribed again."""

    result: TranscriptionResult
    coverage: Coverage
    transcripts: list[Transcript]
    """The best so far, measured."""
    attempts: list[Attempt]
    """Still to be made."""
    parts: dict[int, list[Turn]] = field(default_factory=dict)
    """Turn → its parts in the current attempt."""
    answers: dict[int, dict[int, Transcript]] = field(default_factory=dict)
    """Turn → part → its transcript; parts that failed have none."""
    pending: int = 0
    """Inputs of the current attempt without a result."""


class CoverageTranscriber:
    """Transcriber around another one, whose attribute `attempts` lists what may help; without it, `pauses` is tried."""

    def __init__(self, worker: Transcriber, find_hallucinations: FindHallucinations) -> None:
        self._worker = worker
        self._find_hallucinations = find_hallucinations
        self._attempts: Sequence[Attempt] = getattr(worker, "attempts", ("pauses",))

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`: an episode is done when its turns need no other attempt."""
        inputs: deque[EpisodeSpeech] = deque()
        waiting: dict[str, tuple[_Episode, int, int]] = {}
        """Name of an input → its episode, turn and part."""

        def with_attempts(episodes: Iterable[EpisodeSpeech]) -> Iterator[EpisodeSpeech]:
            for speech in episodes:
                yield speech
                while inputs:
                    yield inputs.popleft()

        streams: Iterable[Iterable[EpisodeSpeech]] = chain([with_attempts(work)], _batches(inputs))
        for stream in streams:
            for group in self._groups(stream):
                ready: list[_Episode] = []
                for result in group:
                    if result.speech.episode in waiting:
                        episode, turn, part = waiting.pop(result.speech.episode)
                        self._take(episode, turn, part, result)
                    elif isinstance(result.transcripts, Exception):
                        yield result
                        continue
                    else:
                        episode = self._check(result, result.transcripts)
                    if not episode.pending:
                        ready.append(episode)
                self._judge(ready)
                for episode in ready:
                    for name, place, speech in self._next_attempt(episode):
                        waiting[name] = place
                        inputs.append(speech)
                    if not episode.pending:
                        yield replace(episode.result, transcripts=episode.transcripts)

    def _groups(self, stream: Iterable[EpisodeSpeech]) -> Iterable[Sequence[TranscriptionResult]]:
        """Transcribe; results that the worker has at the same time come together, if it can tell."""
        if transcribe_groups := getattr(self._worker, "transcribe_groups", None):
            return transcribe_groups(stream)
        return ([result] for result in self._worker.transcribe(stream))

    def _judge(self, episodes: Sequence[_Episode]) -> None:
        """Find the hallucinations in the texts of several episodes at once: one takes nearly as long as many."""
        if not episodes:
            return
        owners = [k for k, episode in enumerate(episodes) for _ in episode.transcripts]
        found = self._find_hallucinations(
            [turn for episode in episodes for turn in episode.coverage.speech.turns],
            [transcript for episode in episodes for transcript in episode.transcripts],
            owners,
        )
        signs = iter(found)
        for episode in episodes:
            episode.coverage.keep_judgement(episode.transcripts, [next(signs) for _ in episode.transcripts])

    def _check(self, result: TranscriptionResult, transcripts: Sequence[Transcript]) -> _Episode:
        coverage = Coverage(result.speech, self._find_hallucinations)
        return _Episode(result, coverage, coverage.measure(transcripts), list(self._attempts))

    def _take(self, episode: _Episode, turn: int, part: int, result: TranscriptionResult) -> None:
        """Take the result of one input; after the last one of an attempt, use what is better."""
        episode.pending -= 1
        if not isinstance(result.transcripts, Exception):
            episode.answers.setdefault(turn, {})[part] = result.transcripts[0]
        elif is_device_error(result.transcripts):
            raise result.transcripts
        if not episode.pending:
            whole = {
                i: join_parts(parts, [answers[k] for k in range(len(parts))])
                for i, parts in episode.parts.items()
                if len(answers := episode.answers.get(i, {})) == len(parts)
            }
            chosen, replaced = episode.coverage.choose(episode.transcripts, whole)
            episode.transcripts = drop_doubled_again(episode.coverage.speech.turns, chosen, replaced)
            if len(whole) >= HOPELESS and not replaced:
                episode.attempts.clear()

    def _next_attempt(self, episode: _Episode) -> Iterator[tuple[str, tuple[_Episode, int, int], EpisodeSpeech]]:
        """Yield the inputs of the next attempt that has any: name, place and input."""
        coverage = episode.coverage
        while episode.attempts and not episode.pending:
            short = coverage.falls_short(episode.transcripts)
            if not short:
                return
            attempt = episode.attempts.pop(0)
            episode.parts, episode.answers = {}, {}
            for i in short:
                language = episode.transcripts[i].language or coverage.speech.language
                speech = replace(coverage.speech, language=language)
                built = build_input(attempt, speech, i, coverage.spoken(i))
                episode.parts[i] = [part.turns[0] for part in built]
                episode.pending += len(built)
                if built:
                    tried = episode.transcripts[i]
                    episode.transcripts[i] = replace(tried, redone=(*tried.redone, attempt))
                for k, part in enumerate(built):
                    name = f"{speech.episode}, segment {i} again ({attempt}, part {k})"
                    yield name, (episode, i, k), replace(part, episode=name)


def _batches(inputs: deque[EpisodeSpeech]) -> Iterator[Iterable[EpisodeSpeech]]:
    """Yield what has come up since, until nothing has."""
    while inputs:
        batch = list(inputs)
        inputs.clear()
        yield batch
