"""Checks of the engines: packages, models, and whether they load."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import EngineUnavailable, first_line, is_out_of_memory
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
    """`needed` by the profile, only a `fallback` in it, or an `other` engine that the profile does not use."""

    @property
    def title(self) -> str:
        """Name of the engine in findings."""
        role = {"needed": "", "fallback": ", a fallback", "other": ", not in this profile"}[self.role]
        return f"{self.kind} {self.engine.name}{role}"


def profile_engines(profile: Profile) -> list[ProfileEngine]:
    """The engines of a profile, followed by all other engines with their default settings."""
    found = [
        ProfileEngine(_kind_of(e), e, "fallback" if e in _fallbacks(profile) else "needed") for e in engines_of(profile)
    ]
    names = {(m.kind, m.engine.name) for m in found}
    return found + [ProfileEngine(k, e, "other") for k, e in default_engines() if (k, e.name) not in names]


def _fallbacks(profile: Profile) -> list[Engine]:
    """Engines that are only used when another one fails, so that a run can do without them."""
    if not isinstance(profile.transcriber, RoutedEngine):
        return []
    routes = profile.transcriber.routes
    first = [r.chain[0] for r in routes]
    return [e for r in routes for e in r.chain[1:] if e not in first]


def default_engines() -> Iterator[tuple[str, Engine]]:
    """Kind and engine, with default settings, of all engines that have defaults."""
    for kind in FOLDERS:
        for engine in engines(kind):
            try:
                yield kind, engine()
            except ValidationError:  # it has required settings
                continue


def _kind_of(engine: Engine) -> str:
    """Kind of an engine, by the folder of its module."""
    module = type(engine).__module__
    return next((kind for kind, folder in FOLDERS.items() if module.startswith(f"{folder}.")), "engine")


def needed_models(engines: Iterable[Engine]) -> list[HubModel]:
    """Hub models that engines need, without duplicates."""
    return list(dict.fromkeys(model for engine in engines for model in _hub_models(engine)))


def examine(member: ProfileEngine, models: Mapping[HubModel, tuple[bool, str]], gpus: int) -> Finding:
    """Check whether an engine can be loaded here, without loading it.

    Args:
        member: the engine.
        models: hub model → whether it is available, and the reason.
        gpus: number of usable NVIDIA GPUs.
    """
    engine = member.engine
    blocks = member.role == "needed"
    if missing := missing_packages(engine):
        install = f"'podcast-assets[{engine.extra}]'" if engine.extra else " ".join(missing)
        what = f"{member.title}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        return Finding(AREA, "missing", what, f"pip install {install}", blocks)
    if getattr(engine, "device", None) == "cuda" and not gpus:
        what = f"{member.title}: it is set to use an NVIDIA GPU, and no usable one was found"
        return Finding(AREA, "missing", what, "choose the profile cpu, or see the section GPU", blocks)
    try:
        availability = [models.get(model, (True, "")) for model in engine.hub_models()]
        problem = None if availability else engine.unavailable_reason()
    except EngineUnavailable as error:
        return Finding(AREA, "missing", f"{member.title}: {first_line(error)}", None, blocks)
    if problem := problem or next((why for available, why in availability if not available), None):
        return Finding(AREA, "missing", f"{member.title}: {problem}", None, blocks)
    installed = ", ".join(f"{name} {version}" for name, version in engine.versions().items())
    versions = "; ".join(filter(None, [installed, *(why for _, why in availability)]))
    what = ": ".join(filter(None, [member.title, versions]))
    if all(find_model(model) for model in engine.hub_models()):
        return Finding(AREA, "ok", what)
    repos = " ".join(model.repo for model in engine.hub_models())
    return Finding(AREA, "warning", what, f"podcast-assets models fetch {repos}")


def load(engine: Engine, title: str, *, needed: bool) -> tuple[Any, Finding | None]:
    """Load an engine as a run would, and return its worker, or a finding with the error.

    Args:
        engine: the engine.
        title: its name in the finding.
        needed: whether the profile needs it.
    """
    try:
        devices = engine.devices()
        return engine.load(devices[0] if devices else None), None
    except Exception as error:  # of drivers, packages or models, which have no common base
        todo = "another process may use the memory: try again when it has ended" if is_out_of_memory(error) else None
        what = f"{title}: cannot be loaded: {type(error).__name__}: {first_line(error)}"
        return None, Finding(AREA, "missing", what, todo, needed)


def _hub_models(engine: Engine) -> list[HubModel]:
    try:
        return engine.hub_models()
    except EngineUnavailable:  # reported by `examine`
        return []
