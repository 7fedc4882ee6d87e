"""`podcast-assets doctor`: check whether the profile can run on this machine, and how to fix what is missing.

Each module checks one area. Functions that judge are pure and get measurements; functions that measure are beside them.
"""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from podcast_assets.cli.doctor import (
    capacity,
    catalog,
    clip,
    clock,
    cluster,
    database,
    engines,
    gpu,
    hub,
    machine,
    places,
)
from podcast_assets.cli.doctor.engines import ProfileEngine
from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import EngineUnavailable, Misconfigured, first_line
from podcast_assets.common.wording import count_noun
from podcast_assets.config.routes import ANY
from podcast_assets.config.settings import Settings
from podcast_assets.engines.availability import missing_packages
from podcast_assets.engines.engine import Engine
from podcast_assets.engines.hub_offline import go_offline
from podcast_assets.intake.duplicates import chromaprint as fingerprints
from podcast_assets.speech.routing import RoutedEngine
from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper
from podcast_assets.stages.profiles import ENGLISH_MODEL, Profile, choose_profile
from podcast_assets.store.store import Store

PROFILE = "profile"


@dataclass(frozen=True)
class DoctorReport:
    """Findings of `podcast-assets doctor`."""

    profile: str | None
    """Name of the profile that was checked; None if it could not be made."""
    findings: Sequence[Finding] = ()
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Engine → its settings, in the form of PODCAST_ENGINES."""

    @property
    def can_run(self) -> bool:
        """Whether the profile can run on this machine."""
        return self.profile is not None and not any(f.blocks for f in self.findings)

    @property
    def severity(self) -> Literal["ok", "warning", "error"]:
        """The worst of the findings: something keeps the profile from running, or deserves a look, or neither."""
        if not self.can_run:
            return "error"
        return "warning" if any(f.state == "warning" for f in self.findings) else "ok"

    @property
    def verdict(self) -> str:
        """The result in one line."""
        profile = f"the profile {self.profile}" if self.profile else "the configured profile"
        if self.can_run:
            return f"{profile} can run on this machine"
        return f"{profile} cannot run on this machine: {count_noun(sum(f.blocks for f in self.findings), 'problem')} to fix"

    def by_area(self) -> dict[str, list[Finding]]:
        """Area → its findings, in order."""
        areas: dict[str, list[Finding]] = {}
        for finding in self.findings:
            areas.setdefault(finding.area, []).append(finding)
        return areas

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "profile": self.profile,
            "can_run": self.can_run,
            "severity": self.severity,
            "findings": [asdict(f) for f in self.findings],
            "engines": self.settings,
        }


def examine(settings: Settings, *, load: bool = True, runs: bool = True) -> DoctorReport:
    """Check this machine. Requests to the hub take three seconds at most, and nothing is downloaded.

    Args:
        settings: settings of the runs.
        load: also load the engines whose models are on this machine, and transcribe a clip; takes up to a minute.
        runs: also check what only machines that start runs use: Dagster's folder and database, and the Ray cluster.
    """
    limit = hub.TimeLimit(hub.SECONDS)
    hub_finding = hub.reachable(limit, hub.ping)
    if hub_finding.state != "ok":
        go_offline("the hub cannot be reached")
    models = hub.check_available(limit, engines.needed_models(engine for _, engine in engines.default_engines()))
    if hub_finding.state == "ok" and limit.exceeded:  # later requests should not wait again
        go_offline("the hub does not answer in time")
    usable_gpus = gpu.count_usable()
    store = Store.at(settings.store, follow_links=settings.allow_links, access=settings.store_access)
    machine_findings = [
        *machine.examine(store),
        *_store_capacity(store),
        *(_run_findings(settings, usable_gpus) if runs else []),
        *places.telemetry(settings, os.environ),
        hub_finding,
    ]
    try:
        profile = choose_profile(settings)
        members = engines.profile_engines(profile)
        unchecked = [m for m in engines.needed_models(m.engine for m in members) if m not in models]
        models |= hub.check_available(limit, unchecked)
    except (Misconfigured, EngineUnavailable) as error:
        return DoctorReport(
            None, [Finding(PROFILE, "missing", first_line(error), None, blocks=True), *machine_findings]
        )
    engine_findings = [engines.examine(m, models, usable_gpus or 0) for m in members]
    clip_findings: list[Finding] = []
    if load:
        engine_findings, clip_findings = load_engines(profile, members, engine_findings)
    return DoctorReport(
        profile.name,
        [
            *_profile_findings(settings, profile),
            _python_finding(),
            *examine_near_duplicates(settings),
            *engine_findings,
            *gpu.examine(gpu.cards(), usable_gpus, gpu.cublas_problem(), needed=profile.name == "gpu"),
            *clip_findings,
            *machine_findings,
        ],
        {m.engine.name: m.engine.model_dump(mode="json") for m in reversed(members)},
    )


def _store_capacity(store: Store) -> list[Finding]:
    """Check that the store can be written and, where it can, its clock and the room for the batches that wait."""
    found = places.store(store)
    if found.state != "ok":
        return [found]
    try:
        waiting = capacity.examine_disk(store)
    except OSError as error:
        what = f"incoming/ cannot be listed: {first_line(error)}"
        waiting = [Finding(capacity.DISK_AREA, "warning", what, "make it readable for this user")]
    return [found, *waiting, *clock.examine("the store", lambda: clock.store_time(store))]


def load_engines(
    profile: Profile, members: Sequence[ProfileEngine], findings: Sequence[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """Load a profile's available engines one by one, and transcribe the test clip with the one for English.

    Args:
        profile: the profile.
        members: its engines.
        findings: of each engine, before it is loaded.

    Returns:
        The findings, those of engines that cannot be loaded replaced; and the findings about the clip.
    """
    transcriber = english_transcriber(profile)
    test_clip = clip.known_clip()
    loaded, clip_findings = [], examine_small_model(members, transcriber, test_clip)
    for member, finding in zip(members, findings, strict=True):
        worker, problem = None, None
        if member.role == "needed" and finding.state == "ok":
            worker, problem = engines.load(member.engine, member.title, needed=True)
        loaded.append(problem or finding)
        if worker is not None and member.engine == transcriber:
            clip_findings.append(clip.examine(member.title, worker, test_clip, needed=True))
    return loaded, clip_findings


def examine_small_model(
    members: Sequence[ProfileEngine], transcriber: Engine | None, test_clip: clip.Clip
) -> list[Finding]:
    """Transcribe the test clip with a small Whisper model, on a GPU if there is one; nothing where it is not on this machine.

    It shows whether faster-whisper and the driver work, where the profile's own model is not here. Left out where the profile's
    engine for English has the same model.
    """
    whisper = next((m for m in members if isinstance(m.engine, FasterWhisper)), None)
    small = FasterWhisper(model=ENGLISH_MODEL)
    if whisper is None or missing_packages(whisper.engine) or not small.model_files():
        return []
    if isinstance(transcriber, FasterWhisper) and transcriber.model == small.model:
        return []
    needed = whisper.role == "needed"
    title = f"{whisper.engine.name} with the model {small.model}"
    worker, problem = engines.load(small, title, needed=needed)
    return [problem or clip.examine(title, worker, test_clip, needed=needed)]


def english_transcriber(profile: Profile) -> Engine | None:
    """The engine that transcribes English episodes; None if the routes have none."""
    if not isinstance(profile.transcriber, RoutedEngine):
        return profile.transcriber
    engine_by_language = {route.language: route.chain[0] for route in profile.transcriber.routes}
    return engine_by_language.get("en") or engine_by_language.get(ANY)


def _run_findings(settings: Settings, usable_gpus: int | None) -> list[Finding]:
    return [
        *cluster.examine(settings),
        places.dagster_home(settings),
        *database.examine(settings, capacity.gpus_to_use(settings, usable_gpus)),
        *catalog.examine(settings),
    ]


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
    """Check the library of near-duplicate detection, if it is enabled."""
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
