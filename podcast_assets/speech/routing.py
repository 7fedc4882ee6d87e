"""Routing of episodes to transcribers by language, with fallbacks when an engine fails.

A route is a language and a chain of engines: the first does the work, the next does what it could not, or all of it where the
first cannot be loaded. Only engines that an episode needs are loaded. The language of an episode without a declared one
is first identified by an engine that can do so. Whatever engine made it, a transcript is held against the speech in its turn, and
what falls short is done again (`podcast_assets.speech.coverage`), last by the next engine of the chain.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, SerializeAsAny

from podcast_assets.common.errors import BadInput, EngineUnavailable, is_device_error, is_out_of_memory
from podcast_assets.config.routes import ANY
from podcast_assets.engines.engine import Engine, GpuUse, most_gpu_use
from podcast_assets.speech.aligners.alignment import Aligner, align_transcripts
from podcast_assets.speech.coverage.transcriber import Coverage, CoverageTranscriber, FindHallucinations, find_loops
from podcast_assets.speech.types import (
    SAMPLE_RATE,
    UNTRANSCRIBED,
    EpisodeSpeech,
    Transcriber,
    Transcript,
    TranscriptionResult,
)

TRANSCRIBER = "transcriber"
"""Input of the episodes for which a transcriber was chosen."""
FALLBACK = "fallback"
"""Flag of a turn that was not transcribed by the first engine of its route."""
GATHERED_SECONDS = 3600.0
"""Audio collected per route before its engine runs, where there are several routes: enough for full batches."""

log = logging.getLogger(__name__)


@runtime_checkable
class LanguageIdentifier(Protocol):
    """Protocol of a transcriber that can identify the spoken language."""

    def identify_speech(self, speech: EpisodeSpeech) -> tuple[str | None, float | None]:
        """Return the ISO 639-1 code and its probability; None without speech."""
        ...


class Route(BaseModel):
    """Language and its chain of engines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    """ISO 639-1 code, or `*`."""
    chain: tuple[SerializeAsAny[Engine], ...]


class RoutedEngine(Engine):
    """Engine that routes transcription to several engines. Fallbacks are not part of its identity: they only do the rest."""

    name: ClassVar[str] = "routed"

    routes: tuple[Route, ...]
    aligner: SerializeAsAny[Engine] | None = None
    """Adds word times to transcripts that have none."""
    coverage: bool = True
    """Whether transcripts are held against the speech in their turns, and done again where they fall short."""
    chosen: tuple[Route, ...] = ()
    """Chains that were chosen for single episodes, with their names in place of languages. No other episode depends on them."""

    def load(
        self, device: str | None = None, find_hallucinations: FindHallucinations = find_loops
    ) -> "RoutedTranscriber":
        """Return the worker; engines are loaded as episodes need them.

        Args:
            device: the device that is held for it.
            find_hallucinations: finds the texts that were not spoken, which are done again.
        """
        return RoutedTranscriber(self, device, find_hallucinations)

    def fetch(self) -> None:
        """Download the models of the first engine of each route and of the aligner.

        Raises:
            EngineUnavailable: the model of the aligner or of every route is not available. One route without its model is logged:
                the episodes of other languages can be done.
        """
        if self.aligner is not None:
            self.aligner.fetch()
        problems = []
        for route in self.routes:
            try:
                route.chain[0].fetch()
            except EngineUnavailable as error:
                problems.append(f"{error}")
                log.warning("language %s: %s cannot be loaded: %s", route.language, route.chain[0].name, error)
        if len(problems) == len(self.routes):
            raise EngineUnavailable("; ".join(dict.fromkeys(problems)))

    def devices(self) -> list[str]:
        """Return the devices of all engines, fallbacks included; all share the device that is held."""
        devices = [device for engine in self._first_engines() for device in engine.devices()]
        for fallback in (e for r in self.routes for e in r.chain[1:]):
            with contextlib.suppress(EngineUnavailable):  # reported when it should take over
                devices += fallback.devices()
        return list(dict.fromkeys(devices))

    def gpu_use(self) -> GpuUse:
        """Return the GPU use of the engine that needs one most, fallbacks included."""
        return most_gpu_use([*self._first_engines(), *(e for r in self.routes for e in r.chain[1:])])

    def model_files(self) -> list[Path]:
        """Return the model files of the first engine of each route and of the aligner."""
        return [file for engine in self._first_engines() for file in engine.model_files()]

    def route(self, language: str | None) -> Route:
        """Return the route of a language.

        Raises:
            BadInput: there is neither a route for the language nor one for all others.
        """
        found = {r.language: r for r in self.routes}
        if (route := found.get(language or ANY) or found.get(ANY)) is None:
            raise BadInput(f"no engine is set for the language {language!r}; PODCAST_ROUTES names {', '.join(found)}")
        return route

    def chosen_route(self, name: str | None) -> Route | None:
        """Return the chain that was chosen for an episode; None for those without a choice.

        Raises:
            BadInput: there is none with this name.
        """
        if name is None:
            return None
        for route in self.chosen:
            if route.language == name:
                return route
        raise BadInput(f"the transcriber {name!r}, which was chosen for the episode, is not set up")

    def for_inputs(self, inputs: Mapping[str, Any]) -> Engine:
        """Return an engine with only the chosen route of the episode, or else that of its language, if that is known."""
        usual = self.model_copy(update={"chosen": ()}) if self.chosen else self
        try:
            if (chosen := self.chosen_route(inputs.get(TRANSCRIBER))) is not None:
                only = chosen.model_copy(update={"language": ANY})
                return usual.model_copy(update={"routes": (only,)})
            if inputs.get("language") is None or len(self.routes) == 1:
                return usual
            return usual.model_copy(update={"routes": (self.route(inputs["language"]),)})
        except BadInput:
            return usual

    def identity(self) -> dict[str, Any]:
        """Return the identities of the first engine of each route and of the aligner."""
        return {
            "engine": self.name,
            "routes": {r.language: r.chain[0].identity() for r in self.routes},
            "aligner": self.aligner.identity() if self.aligner else None,
            "coverage": self.coverage,
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
    """Transcripts so far."""
    notes: list[str] = field(default_factory=list)
    """Which engines failed and why, and what fallbacks did."""
    error: Exception | None = None
    """Error of the last engine, if it failed on the whole episode."""

    @property
    def rest(self) -> list[int]:
        """Return the turns that are not or not fully transcribed."""
        return [i for i, t in enumerate(self.transcripts) if t is None or UNTRANSCRIBED in t.flags]

    def take(self, transcripts: Mapping[int, Transcript], engine: Engine) -> None:
        """Take the transcripts of some turns by a fallback engine."""
        self.error = None
        for i, transcript in transcripts.items():
            self.transcripts[i] = replace(transcript, flags=(*transcript.flags, FALLBACK), engine=engine.name)
        self.notes.append(f"{engine.name} did {len(transcripts)} of {len(self.transcripts)} segments")


class RoutedTranscriber:
    """Transcriber that holds the loaded engines of all routes."""

    def __init__(self, engine: RoutedEngine, device: str | None, find_hallucinations: FindHallucinations) -> None:
        self._engine = engine
        self._device = device
        self._find_hallucinations = find_hallucinations
        self._loaded: dict[Engine, Any] = {}
        self._unavailable: dict[Engine, Exception] = {}
        """Engine → why it cannot be loaded; loading is attempted once."""

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. If no engine of a route can be loaded, its episodes get that error.

        Raises:
            EngineUnavailable: the aligner or no engine of any route can be loaded, or the GPU or memory fails.
        """
        if self._engine.aligner is not None:
            self._load_worker(self._engine.aligner)  # fail before hours are transcribed
        if len(self._engine.routes) == 1 and not self._engine.chosen:
            yield from self._follow_chain(self._engine.routes[0], work)
            return
        gathered: dict[Route, list[EpisodeSpeech]] = {}
        for given in work:
            try:
                speech, route = self._find_route(given)
                self._ensure_loadable(route, speech.language)
            except EngineUnavailable as error:
                if _is_machine_problem(error) or self._all_unavailable():
                    raise
                yield TranscriptionResult(given, error)
                continue
            except Exception as error:
                if is_device_error(error):
                    raise
                yield TranscriptionResult(given, error)
                continue
            waiting = gathered.setdefault(route, [])
            waiting.append(speech)
            if sum(len(s.audio) for s in waiting) > GATHERED_SECONDS * SAMPLE_RATE:
                yield from self._follow_chain(route, gathered.pop(route))
        for route, waiting in gathered.items():
            yield from self._follow_chain(route, waiting)

    def _find_route(self, speech: EpisodeSpeech) -> tuple[EpisodeSpeech, Route]:
        """Return the episode, with its language where that decides, and its route.

        Raises:
            BadInput: no engine is set for its language, or its chosen one is not set up.
            EngineUnavailable: nothing here can identify its language.
        """
        if (chosen := self._engine.chosen_route(speech.transcriber)) is not None:
            return speech, chosen
        if len(self._engine.routes) == 1:
            return speech, self._engine.routes[0]
        speech = self._identify_language(speech)
        return speech, self._engine.route(speech.language)

    def _identify_language(self, speech: EpisodeSpeech) -> EpisodeSpeech:
        """Return the episode with its language, identified by the engine for any language."""
        if speech.language is not None:
            return speech
        try:
            worker = self._load_worker(self._engine.route(None).chain[0])
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"its language is not declared, and nothing here can identify it: {error}"
            ) from error
        if not isinstance(worker, LanguageIdentifier):
            return speech
        language, _ = worker.identify_speech(speech)
        return replace(speech, language=language)

    def _follow_chain(self, route: Route, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Transcribe episodes along a chain: one engine takes all of them in one stream, the others what is left of each.

        A device error that the stream returns as an episode's result is passed on, since the stream goes on and the runner decides
        about the device. One in a fallback is raised: the episode is not finished, and no later engine may hide the error.
        """
        index, load_errors = self._first_loadable(route)
        engine = route.chain[index]
        for result in self._load_transcriber(engine).transcribe(work):
            part = _PartialTranscription(result.speech, [None] * len(result.speech.turns), list(load_errors))
            if isinstance(result.transcripts, Exception):
                if is_device_error(result.transcripts):
                    yield result
                    continue
                part.notes.append(f"{engine.name}: {type(result.transcripts).__name__}: {result.transcripts}")
                # an engine that could not be loaded might have transcribed the episode, so the failure is not final
                part.error = EngineUnavailable("; ".join(part.notes)) if load_errors else result.transcripts
            else:
                part.notes += [result.fallback] if result.fallback else []
                if load_errors:
                    part.take(dict(enumerate(result.transcripts)), engine)
                else:
                    part.transcripts = [t if t.engine else replace(t, engine=engine.name) for t in result.transcripts]
            for fallback in route.chain[index + 1 :]:
                if part.rest or part.error:
                    self._transcribe_rest(fallback, part)
                self._improve(fallback, part)
            yield self._finish_episode(part)

    def _ensure_loadable(self, route: Route, language: str | None) -> None:
        """Load the first engine of a chain that can be loaded. Raises as `_first_loadable` does, and names the language."""
        try:
            self._first_loadable(route)
        except EngineUnavailable as error:
            raise EngineUnavailable(f"no engine for its language, {language}, can be loaded: {error}") from error

    def _first_loadable(self, route: Route) -> tuple[int, list[str]]:
        """Return the index of a chain's first engine that can be loaded, and the errors of those before it.

        Raises:
            EngineUnavailable: no engine can be loaded; or the GPU or memory fails, where a fallback would only hide the problem.
        """
        load_errors: list[str] = []
        for index, engine in enumerate(route.chain):
            try:
                self._load_worker(engine)
            except EngineUnavailable as error:
                if _is_machine_problem(error):
                    raise
                load_errors.append(str(error))
            else:
                return index, load_errors
        raise EngineUnavailable("; ".join(load_errors))

    def _all_unavailable(self) -> bool:
        return all(engine in self._unavailable for route in self._engine.routes for engine in route.chain)

    def _transcribe_rest(self, engine: Engine, part: _PartialTranscription) -> None:
        """Transcribe the rest of an episode with another engine, as far as possible."""
        transcripts = self._transcribe_turns(engine, part, part.rest)
        if transcripts is not None:
            part.take(transcripts, engine)

    def _improve(self, engine: Engine, part: _PartialTranscription) -> None:
        """Replace transcripts that still fall short by those of another engine that do not, or less. Last resorts do not do so."""
        if engine.embedded or part.error or not any(t and t.redone for t in part.transcripts):
            return
        before = [t or Transcript("") for t in part.transcripts]
        coverage = Coverage(part.speech, self._find_hallucinations)
        turns = [i for i in coverage.falls_short(before) if before[i].redone]
        if not turns or (others := self._transcribe_turns(engine, part, turns)) is None:
            return
        for i in turns:
            before[i] = replace(before[i], redone=(*before[i].redone, engine.name))
        chosen, replaced = coverage.choose(before, others)
        part.transcripts = list(chosen)
        if replaced:
            part.take({i: chosen[i] for i in replaced}, engine)

    def _transcribe_turns(
        self, engine: Engine, part: _PartialTranscription, turns: list[int]
    ) -> dict[int, Transcript] | None:
        """Transcribe some turns of an episode with another engine; None, with a note, if that fails."""
        language = next((t.language for t in part.transcripts if t and t.language), part.speech.language)
        speech = replace(part.speech, turns=[part.speech.turns[i] for i in turns], language=language)
        try:
            (result,) = self._load_transcriber(engine).transcribe([speech])
            if isinstance(result.transcripts, Exception):
                raise result.transcripts
        except EngineUnavailable as error:
            part.notes.append(str(error))
            return None
        except Exception as error:
            if is_device_error(error):
                raise
            part.notes.append(f"{engine.name}: {type(error).__name__}: {error}")
            return None
        return dict(zip(turns, result.transcripts, strict=True))

    def _finish_episode(self, part: _PartialTranscription) -> TranscriptionResult:
        if part.error is not None:
            part.error.add_note("; ".join(part.notes))
            return TranscriptionResult(part.speech, part.error)
        transcripts = [t or Transcript("", flags=(UNTRANSCRIBED,)) for t in part.transcripts]
        if self._engine.aligner is not None:
            aligner: Aligner = self._load_worker(self._engine.aligner)
            transcripts = align_transcripts(aligner, part.speech.audio, part.speech.turns, transcripts)
        return TranscriptionResult(part.speech, transcripts, "; ".join(part.notes) or None)

    def _load_transcriber(self, engine: Engine) -> Transcriber:
        """Return an engine's worker, held to the coverage of its transcripts. Raises as `_load_worker` does."""
        worker = self._load_worker(engine)
        return CoverageTranscriber(worker, self._find_hallucinations) if self._engine.coverage else worker

    def _load_worker(self, engine: Engine) -> Any:
        """Return an engine's worker, loading it on first use.

        Raises:
            EngineUnavailable: the engine or its model cannot be loaded; the message names it.
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


def _is_machine_problem(error: EngineUnavailable) -> bool:
    """Return whether an engine cannot be loaded because of the GPU or memory."""
    return is_device_error(error) or is_out_of_memory(error)
