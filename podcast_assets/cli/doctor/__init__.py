"""`podcast-assets doctor`: check whether the profile can run on this machine, and how to fix what is missing.

Each module examines one area. What decides is pure, and gets what was measured; what measures stands beside it.
"""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from podcast_assets import demo
from podcast_assets.cli.doctor import clip, engines, gpu, hub, machine, places
from podcast_assets.cli.doctor.engines import ProfileEngine
from podcast_assets.cli.doctor.finding import Finding, first_line
from podcast_assets.common.errors import EngineUnavailable, Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines.availability import missing_packages
from podcast_assets.engines.engine import Engine
from podcast_assets.engines.hub_offline import go_offline
from podcast_assets.intake.duplicates import chromaprint as fingerprints
from podcast_assets.speech.routing import RoutedEngine
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.stages.profiles import Profile, choose_profile
from podcast_assets.store.store import Store

PROFILE = "profile"


@dataclass(frozen=True)
class DoctorReport:
    """Findings of `podcast-assets doctor`."""

    profile: str | None
    """Name of the profile that was examined; None where none could be made."""
    findings: Sequence[Finding] = ()
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name of each engine → its settings, as PODCAST_ENGINES takes them."""

    @property
    def can_run(self) -> bool:
        """Whether the profile can run on this machine."""
        return self.profile is not None and not any(f.blocks for f in self.findings)

    @property
    def verdict(self) -> str:
        """The outcome, in one line."""
        if self.can_run:
            return f"the profile {self.profile} can run here"
        count = sum(f.blocks for f in self.findings)
        what = "one thing keeps" if count == 1 else f"{count} things keep"
        return f"the profile {self.profile or 'that is set'} cannot run here: {what} it from that"

    def by_area(self) -> dict[str, list[Finding]]:
        """The findings under their headings, in order."""
        areas: dict[str, list[Finding]] = {}
        for finding in self.findings:
            areas.setdefault(finding.area, []).append(finding)
        return areas

    def to_json(self) -> dict[str, Any]:
        """Findings as JSON values."""
        return {
            "profile": self.profile,
            "can_run": self.can_run,
            "findings": [asdict(f) for f in self.findings],
            "engines": self.settings,
        }


def examine(settings: Settings, *, load: bool = True) -> DoctorReport:
    """Examine this machine. The hub is asked for three seconds at most, and nothing is downloaded.

    Args:
        settings: what is to run.
        load: also load the engines whose models are here, and transcribe a clip; takes up to a minute.
    """
    clock = hub.TimeLimit()
    answers = hub.reachable(clock, hub.ping)
    if answers.state != "ok":
        go_offline("the hub cannot be reached")
    models = hub.check_available(clock, engines.needed_models(engine for _, engine in engines.as_they_come()))
    if answers.state == "ok" and clock.late:  # whoever asks again is not to wait again
        go_offline("the hub does not answer in time")
    surroundings = [
        *machine.examine(place := Store.at(settings.store)),
        places.store(place),
        places.dagster_home(settings),
        *places.telemetry(settings, os.environ),
        answers,
    ]
    try:
        chosen = choose_profile(settings)
        found = engines.profile_engines(chosen)
        others = [m for m in engines.needed_models(m.engine for m in found) if m not in models]
        models |= hub.check_available(clock, others)
    except (Misconfigured, EngineUnavailable) as error:
        return DoctorReport(None, [Finding(PROFILE, "missing", first_line(error), None, blocks=True), *surroundings])
    cards = gpu.cards()
    usable = gpu.count_usable()
    told = [engines.examine(m, models, usable or 0) for m in found]
    heard: list[Finding] = []
    if load:
        told, heard = load_engines(chosen, found, told)
    return DoctorReport(
        chosen.name,
        [
            *_profile_findings(settings, chosen),
            _python_finding(),
            *examine_near_duplicates(settings),
            *told,
            *gpu.examine(cards, usable, gpu.cublas_problem(), needed=chosen.name == "gpu"),
            *heard,
            *surroundings,
        ],
        {m.engine.name: m.engine.model_dump(mode="json") for m in reversed(found)},
    )


def load_engines(
    profile: Profile, members: Sequence[ProfileEngine], told: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """Load a profile's available engines one by one, and transcribe the test clip with one that knows English.

    Returns:
        What was told of each engine, with what loading it added; and what was heard.
    """
    listener = english_transcriber(profile)
    known = clip.known_clip()
    findings, heard = [], examine_demo_model(members, known)
    for member, finding in zip(members, told, strict=True):
        worker, trouble = None, None
        if member.role == "needed" and finding.state == "ok":
            worker, trouble = engines.load(member)
        findings.append(trouble or finding)
        shipped = isinstance(member.engine, FasterWhisper) and member.engine.model == str(demo.MODEL)
        if worker is not None and member.engine == listener and not shipped:
            heard.append(clip.examine(member.title, worker, known, needed=True))
    return findings, heard


def examine_demo_model(members: Sequence[ProfileEngine], known: clip.Clip) -> list[Finding]:
    """Transcribe the test clip with the demo model, which is always available, on a GPU if there is one."""
    whisper = next((m for m in members if isinstance(m.engine, FasterWhisper)), None)
    if whisper is None or missing_packages(whisper.engine):
        return []
    needed = whisper.role == "needed"
    member = ProfileEngine(
        "the demonstration model of", FasterWhisper(**demo.TRANSCRIBER), "needed" if needed else "other"
    )
    worker, trouble = engines.load(member)
    return [trouble or clip.examine(f"the demonstration model of {whisper.engine.name}", worker, known, needed=needed)]


def english_transcriber(profile: Profile) -> Engine | None:
    """The engine that transcribes English episodes; None where the routes have none."""
    if not isinstance(profile.transcriber, RoutedEngine):
        return profile.transcriber
    found = {route.language: route.chain[0] for route in profile.transcriber.routes}
    return found.get("en") or found.get("*")


def _profile_findings(settings: Settings, chosen: Profile) -> list[Finding]:
    findings = [Finding(PROFILE, "ok", f"{chosen.name}, because {chosen.reason}")]
    if settings.profile != "auto":
        try:
            best = choose_profile(settings.model_copy(update={"profile": "auto"}))
        except (Misconfigured, EngineUnavailable):
            return findings
        findings.append(Finding(PROFILE, "ok", f"auto would take {best.name}, because {best.reason}"))
    return findings


def examine_near_duplicates(settings: Settings) -> list[Finding]:
    """Check the packages for near-duplicate detection, if it is switched on."""
    if not settings.near_duplicates:
        return []
    area = "near-duplicates"
    try:
        fingerprints.load_chromaprint()
    except Misconfigured as error:
        return [Finding(area, "missing", *str(error).split(": ", 1), blocks=True)]
    return [Finding(area, "ok", "Chromaprint can be loaded")]


def _python_finding() -> Finding:
    version = importlib.metadata.version("podcast-assets")
    return Finding("Python", "ok", f"Python {platform.python_version()}, podcast-assets {version}")
