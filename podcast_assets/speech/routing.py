"""Routing of episodes to transcribers by language, with fallbacks when an engine fails.

A route is a language and a chain of engines: the first does the work, the next does what it could not, or all of it where the
first cannot be loaded. Only engines that an episode needs are loaded. An episode whose language nobody declared is first heard by
an engine that can identify it.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import SerializeAsAny

from podcast_assets.common.errors import BadInput, EngineUnavailable, is_device_error, is_out_of_memory
from podcast_assets.config.routes import ANY
from podcast_assets.engines.engine import Engine, GpuUse, most_gpu_use
from podcast_assets.speech.aligners.alignment import Aligner, align_transcripts
from podcast_assets.speech.types import SAMPLE_RATE, UNTRANSCRIBED, EpisodeSpeech, Transcript, TranscriptionResult

FALLBACK = "fallback"
"""Flag of a turn that another engine did than the first of its route."""
GATHERED_SECONDS = 3600.0
"""Audio of a route that is gathered before its engine gets it, where there are several: enough for full batches."""

log = logging.getLogger(__name__)


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Protocol of a transcriber that can identify the spoken language."""

    def identify_speech(self, speech: EpisodeSpeech) -> tuple[str | None, float | None]:
        """Return the ISO 639-1 code and its probability; None without speech."""
        ...


class Route(Engine):
    """Language and its chain of engines."""

    name: ClassVar[str] = "route"

    language: str
    """ISO 639-1 code, or `*`."""
    chain: tuple[SerializeAsAny[Engine], ...]


class RoutedEngine(Engine):
    """Engine that routes transcription to several engines. Fallbacks are not part of its identity: they only do the rest."""

    name: ClassVar[str] = "routed"

    routes: tuple[Route, ...]
    aligner: SerializeAsAny[Engine] | None = None
    """Gives times to the words of engines that have none."""

    def load(self, device: str | None = None) -> "RoutedTranscriber":
        """Return the worker; engines are loaded as episodes need them."""
        return RoutedTranscriber(self, device)

    def fetch(self) -> None:
        """Download the models of the first engine of each route and of the aligner."""
        for engine in self._first_engines():
            engine.fetch()

    def devices(self) -> list[str]:
        """Return the devices of all engines, fallbacks included; all share the device that is held."""
        wanted = [device for engine in self._first_engines() for device in engine.devices()]
        for fallback in (e for r in self.routes for e in r.chain[1:]):
            with contextlib.suppress(EngineUnavailable):  # it takes over nothing here, which is told where it should
                wanted += fallback.devices()
        return list(dict.fromkeys(wanted))

    def gpu_use(self) -> GpuUse:
        """Return the GPU use of the engine that needs one most, fallbacks included."""
        return most_gpu_use([*self._first_engines(), *(e for r in self.routes for e in r.chain[1:])])

    def model_files(self) -> list[Path]:
        """Of the first engine of each route, and of the aligner."""
        return [file for engine in self._first_engines() for file in engine.model_files()]

    def route(self, language: str | None) -> Route:
        """Return the route of a language.

        Raises:
            BadInput: it has none, and there is none for any language.
        """
        found = {r.language: r for r in self.routes}
        if (route := found.get(language or ANY) or found.get(ANY)) is None:
            raise BadInput(f"no engine is set for the language {language!r}; PODCAST_ROUTES names {', '.join(found)}")
        return route

    def for_inputs(self, inputs: Mapping[str, Any]) -> Engine:
        """Return an engine with only the route of the episode's language, if that is known."""
        if inputs.get("language") is None or len(self.routes) == 1:
            return self
        try:
            return RoutedEngine(routes=(self.route(inputs["language"]),), aligner=self.aligner)
        except BadInput:
            return self

    def identity(self) -> dict[str, Any]:
        """Of the first engine of each route, and of the aligner."""
        return {
            "engine": self.name,
            "routes": {r.language: r.chain[0].identity() for r in self.routes},
            "aligner": self.aligner.identity() if self.aligner else None,
        }

    def versions(self) -> dict[str, str]:
        """Return the package versions of the first engine of each route and of the aligner."""
        return {name: version for engine in self._first_engines() for name, version in engine.versions().items()}

    def _first_engines(self) -> list[Engine]:
        return [r.chain[0] for r in self.routes] + ([self.aligner] if self.aligner else [])


@dataclass
class _PartialTranscription:
    """Partial transcription of an episode, on its way along a chain."""

    speech: EpisodeSpeech
    transcripts: list[Transcript | None]
    """What is done so far."""
    failures: list[str] = field(default_factory=list)
    error: Exception | None = None
    """Why the last engine could not do it at all."""

    @property
    def rest(self) -> list[int]:
        """Return the turns that are not or not fully transcribed."""
        return [i for i, t in enumerate(self.transcripts) if t is None or UNTRANSCRIBED in t.flags]

    def take(self, turns: Sequence[int], made: Sequence[Transcript], engine: Engine) -> None:
        """Merge the transcripts that a fallback engine made of some turns."""
        self.error = None
        for i, transcript in zip(turns, made, strict=True):
            self.transcripts[i] = replace(transcript, flags=(*transcript.flags, FALLBACK), engine=engine.name)
        self.failures.append(f"{engine.name} did {len(turns)} of {len(self.transcripts)} segments")


class RoutedTranscriber:
    """Transcriber that holds the loaded engines of all routes."""

    def __init__(self, engine: RoutedEngine, device: str | None) -> None:
        self._engine = engine
        self._device = device
        self._loaded: dict[Engine, Any] = {}
        self._unavailable: dict[Engine, Exception] = {}
        """Why an engine cannot be loaded: it is tried once."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. If no engine of a route can be loaded, its episodes get that error.

        Raises:
            EngineUnavailable: no engine of any route can be loaded, or the aligner; or one cannot because of the GPU or memory.
        """
        if self._engine.aligner is not None:
            self._load_worker(self._engine.aligner)  # what is missing is told before hours are transcribed
        if len(self._engine.routes) == 1:
            yield from self._follow_chain(self._engine.routes[0], work)
            return
        gathered: dict[str, list[EpisodeSpeech]] = {}
        for given in work:
            try:
                speech = self._identify_language(given)
                route = self._engine.route(speech.language)
                self._first_loadable(route)
            except EngineUnavailable as error:
                if _is_device_problem(error) or self._unavailable_error():
                    raise
                yield TranscriptionResult(given, error)
                continue
            except Exception as error:
                if is_device_error(error):
                    raise
                yield TranscriptionResult(given, error)
                continue
            waiting = gathered.setdefault(route.language, [])
            waiting.append(speech)
            if sum(len(s.audio) for s in waiting) > GATHERED_SECONDS * SAMPLE_RATE:
                yield from self._follow_chain(route, gathered.pop(route.language))
        for language, waiting in gathered.items():
            yield from self._follow_chain(self._engine.route(language), waiting)

    def _identify_language(self, speech: EpisodeSpeech) -> EpisodeSpeech:
        """Return the episode with its language, identified by the engine for any language."""
        if speech.language is not None:
            return speech
        worker = self._load_worker(self._engine.route(None).chain[0])
        if not isinstance(worker, LanguageIdentifier):
            return speech
        language, _ = worker.identify_speech(speech)
        return replace(speech, language=language)

    def _follow_chain(self, route: Route, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Episodes along a chain: its first engine has all of them in one stream, the others what is left of each."""
        index, before = self._first_loadable(route)
        first = route.chain[index]
        for heard in self._load_worker(first).transcribe(work):
            part = _PartialTranscription(heard.speech, [None] * len(heard.speech.turns), list(before))
            if isinstance(heard.transcripts, Exception):
                if is_device_error(heard.transcripts):
                    yield heard
                    continue
                part.failures.append(f"{first.name}: {type(heard.transcripts).__name__}: {heard.transcripts}")
                # of an engine that cannot be loaded nobody knows whether it could have done the episode: it may pass
                part.error = EngineUnavailable("; ".join(part.failures)) if before else heard.transcripts
            else:
                part.failures += [heard.fallback] if heard.fallback else []
                if before:
                    part.take(range(len(heard.transcripts)), heard.transcripts, first)
                else:
                    part.transcripts = list(heard.transcripts)
            for engine in route.chain[index + 1 :]:
                if part.rest or part.error:
                    self._transcribe_rest(engine, part)
            yield self._finish_episode(part)

    def _first_loadable(self, route: Route) -> tuple[int, list[str]]:
        """Place in a chain of the first engine that can be loaded, and what is wrong with those before it.

        Raises:
            EngineUnavailable: there is none; or one cannot be loaded because of the GPU or memory, which is the machine's trouble
                and not answered with a worse engine.
        """
        troubles: list[str] = []
        for index, engine in enumerate(route.chain):
            try:
                self._load_worker(engine)
            except EngineUnavailable as error:
                if _is_device_problem(error):
                    raise
                troubles.append(str(error))
            else:
                return index, troubles
        raise EngineUnavailable("; ".join(troubles))

    def _unavailable_error(self) -> bool:
        return all(engine in self._unavailable for route in self._engine.routes for engine in route.chain)

    def _transcribe_rest(self, engine: Engine, part: _PartialTranscription) -> None:
        """Transcribe the rest of an episode with another engine, as far as possible."""
        rest = part.rest
        language = next((t.language for t in part.transcripts if t and t.language), part.speech.language)
        turns = [part.speech.turns[i] for i in rest]
        try:
            (heard,) = self._load_worker(engine).transcribe([replace(part.speech, turns=turns, language=language)])
            made = heard.transcripts
            if isinstance(made, Exception):
                raise made
        except EngineUnavailable as error:
            part.failures.append(str(error))
            return
        except Exception as error:
            if is_device_error(error):
                raise
            part.failures.append(f"{engine.name}: {type(error).__name__}: {error}")
            return
        part.take(rest, made, engine)

    def _finish_episode(self, part: _PartialTranscription) -> TranscriptionResult:
        if part.error is not None:
            part.error.add_note("; ".join(part.failures))
            return TranscriptionResult(part.speech, part.error)
        transcripts = [t or Transcript("", flags=(UNTRANSCRIBED,)) for t in part.transcripts]
        if self._engine.aligner is not None:
            aligner: Aligner = self._load_worker(self._engine.aligner)
            transcripts = align_transcripts(aligner, part.speech.audio, part.speech.turns, transcripts)
        return TranscriptionResult(part.speech, transcripts, "; ".join(part.failures) or None)

    def _load_worker(self, engine: Engine) -> Any:
        """Return an engine's worker, loading it on first use.

        Raises:
            EngineUnavailable: it, or its model, cannot be loaded here; the message names it.
        """
        if engine not in self._loaded and engine not in self._unavailable:
            try:
                engine.fetch()
                self._loaded[engine] = engine.load(self._device if engine.devices() else None)
            except Exception as error:  # what libraries raise for a damaged model has no common base
                self._unavailable[engine] = error
                log.warning("%s cannot be loaded: %s", engine.name, error)
            else:
                log.info("loaded %s", engine.name)
        if error := self._unavailable.get(engine):
            why = str(error) if isinstance(error, EngineUnavailable) else f"{type(error).__name__}: {error}"
            raise EngineUnavailable(f"{engine.name}: {why}") from error
        return self._loaded[engine]


def _is_device_problem(error: EngineUnavailable) -> bool:
    """Return whether an engine cannot be loaded because of the GPU or memory."""
    return is_device_error(error) or is_out_of_memory(error)
