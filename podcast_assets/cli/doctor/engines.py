"""Availability of the engines on this machine."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from podcast_assets.cli.doctor.finding import Finding, first_line
from podcast_assets.common.errors import EngineUnavailable, is_out_of_memory
from podcast_assets.engines.availability import missing_packages
from podcast_assets.engines.engine import FOLDERS, Engine, engines
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.engines.models import find_model
from podcast_assets.speech.routing import RoutedEngine
from podcast_assets.stages.profiles import Profile, engines_of

AREA = "engines"

Role = Literal["needed", "fallback", "other"]


@dataclass(frozen=True)
class ProfileEngine:
    """An engine and its role in the chosen profile."""

    kind: str
    """`diarizer`, `transcriber`, …"""
    engine: Engine
    role: Role
    """`needed` by the profile, only a `fallback` in it, or another one that there is."""

    @property
    def title(self) -> str:
        """Name of the engine in findings."""
        role = {"needed": "", "fallback": ", a fallback", "other": ", not in this profile"}[self.role]
        return f"{self.kind} {self.engine.name}{role}"


def profile_engines(profile: Profile) -> list[ProfileEngine]:
    """The engines of a profile, and after them every other one as it comes."""
    found = [
        ProfileEngine(kind_of(e), e, "fallback" if e in fallbacks(profile) else "needed") for e in engines_of(profile)
    ]
    names = {(m.kind, m.engine.name) for m in found}
    return found + [ProfileEngine(k, e, "other") for k, e in as_they_come() if (k, e.name) not in names]


def fallbacks(profile: Profile) -> list[Engine]:
    """Engines that only take over where another one fails: a run can do without them."""
    if not isinstance(profile.transcriber, RoutedEngine):
        return []
    routes = profile.transcriber.routes
    first = [r.chain[0] for r in routes]
    return [e for r in routes for e in r.chain[1:] if e not in first]


def as_they_come() -> Iterator[tuple[str, Engine]]:
    """All engines with their default settings and kinds."""
    for kind in FOLDERS:
        for engine in engines(kind):
            try:
                yield kind, engine()
            except ValidationError:  # it is nothing without settings
                continue


def kind_of(engine: Engine) -> str:
    """The kind of an engine, by the folder that it is in."""
    module = type(engine).__module__
    return next((kind for kind, folder in FOLDERS.items() if module.startswith(f"{folder}.")), "engine")


def needed_models(some: Iterable[Engine]) -> list[HubModel]:
    """Hub models that some engines need, without duplicates."""
    return list(dict.fromkeys(model for engine in some for model in _hub_models(engine)))


def examine(member: ProfileEngine, models: Mapping[HubModel, tuple[bool, str]], gpus: int) -> Finding:
    """Whether an engine can be loaded here, and what to do if not. Loads nothing.

    Args:
        member: the engine.
        models: of each model of the hub whether it is here or can be had, and why (or why not).
        gpus: NVIDIA GPUs that can be used.
    """
    engine = member.engine
    blocks = member.role == "needed"
    if missing := missing_packages(engine):
        install = f"'podcast-assets[{engine.extra}]'" if engine.extra else " ".join(missing)
        what = f"{member.title}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        return Finding(AREA, "missing", what, f"pip install {install}", blocks)
    if getattr(engine, "device", None) == "cuda" and not gpus:
        what = f"{member.title}: it is set to an NVIDIA GPU, and no usable one was found"
        return Finding(AREA, "missing", what, "choose the profile cpu, or see under GPU", blocks)
    try:
        told = [models.get(model, (True, "")) for model in engine.hub_models()]
        complaint = None if told else engine.unavailable_reason()
    except EngineUnavailable as error:
        return Finding(AREA, "missing", f"{member.title}: {first_line(error)}", None, blocks)
    if complaint := complaint or next((why for found, why in told if not found), None):
        return Finding(AREA, "missing", f"{member.title}: {complaint}", None, blocks)
    installed = ", ".join(f"{name} {version}" for name, version in engine.versions().items())
    about = "; ".join(filter(None, [installed, *(why for _, why in told)]))
    todo = f"podcast-assets models fetch {' '.join(m.repo for m in engine.hub_models())}"
    state, todo = ("ok", None) if is_downloaded(engine) else ("warning", todo)
    return Finding(AREA, state, f"{member.title}: {about}", todo)


def is_downloaded(engine: Engine) -> bool:
    """Whether loading an engine would download nothing."""
    return all(find_model(model) for model in _hub_models(engine))


def load(member: ProfileEngine) -> tuple[Any, Finding | None]:
    """Load an engine, as a run would: the worker, or what kept it from being loaded."""
    engine = member.engine
    try:
        devices = engine.devices()
        return engine.load(devices[0] if devices else None), None
    except Exception as error:  # what is wrong with drivers, packages and models has no common base
        todo = "another process may use the memory: try again when it has ended" if is_out_of_memory(error) else None
        what = f"{member.title}: it does not load: {type(error).__name__}: {first_line(error)}"
        return None, Finding(AREA, "missing", what, todo, member.role == "needed")


def _hub_models(engine: Engine) -> list[HubModel]:
    try:
        return engine.hub_models()
    except EngineUnavailable:  # told by `examine`
        return []
