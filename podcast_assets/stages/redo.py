"""Finished work that a run would do again, because this version or its engines are others than those that made it. Read-only.

What made a result is in its provenance, and is compared with what would make it now; so a changed setting that is not one of an
engine, or changed metadata, is not found here.
"""

import functools
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import FOLDERS, Engine, engines
from podcast_assets.speech.diarizer_choice import DIARIZER
from podcast_assets.speech.routing import TRANSCRIBER
from podcast_assets.stages.diarize import Diarize
from podcast_assets.stages.engine_choices import diarizer_choice, transcriber_choice
from podcast_assets.stages.episode_overrides import apply_overrides, diarizer
from podcast_assets.stages.ingest import Ingest
from podcast_assets.stages.package import Package
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.provenance import describe_engine
from podcast_assets.stages.punctuate import Punctuate
from podcast_assets.stages.score import Score
from podcast_assets.stages.second_opinion import SecondOpinion
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.discard_records import read_batch_discards
from podcast_assets.store.episode_records import Record
from podcast_assets.store.override_records import OVERRIDE_RECORDS
from podcast_assets.store.schema import PROVENANCE
from podcast_assets.store.store import STORE_READERS, DamagedTable, Store, provenance_key

_OPTIONAL = (SecondOpinion, Punctuate)
"""Stages whose engines `auto` does not choose: only their versions are compared."""
_AUDIO_COLUMNS = ("episode_id", "language", "metadata", "duration")
Place = tuple[str, str]
"""Batch and id of an episode."""


@dataclass
class Redo:
    """Finished work that would be done again."""

    seconds: dict[Place, float] = field(default_factory=dict)
    """Episode → its length, s."""
    by_reason: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    """Stage and reason → length of the episodes, s."""

    @property
    def hours(self) -> float:
        """Length of all these episodes, h."""
        return sum(self.seconds.values()) / 3600

    @property
    def batches(self) -> set[str]:
        """Their batches."""
        return {batch for batch, _ in self.seconds}

    def describe(self) -> str:
        """Hours and reasons, for people."""
        reasons = sorted(self.by_reason.items(), key=lambda item: -item[1])
        shown = "; ".join(f"{stage} {seconds / 3600:,.1f} h, {why}" for (stage, why), seconds in reasons[:6])
        return (
            f"{self.hours:,.1f} h of finished audio in {len(self.batches):,} batch{'' if len(self.batches) == 1 else 'es'} "
            f"would be processed again, and what depends on it: {shown}"
        )


def find_redo(
    store: Store,
    settings: Settings,
    profile: Profile | None,
    batches: Sequence[str],
    *,
    without: Collection[Place] = (),
) -> Redo:
    """Find what a run of batches would do again.

    Args:
        store: store of the batches.
        settings: of the run.
        profile: engines of the run; None if they are not known here, and only versions are compared.
        batches: batches of the run that have tables.
        without: episodes that are to be processed again.
    """
    overrides: dict[str, dict[str, Record]] = defaultdict(dict)
    for record in OVERRIDE_RECORDS.read_all(store).iter_rows(named=True):
        overrides[record["batch"]][record["episode_id"]] = record
    now = _CurrentEngines.of(settings, profile, overrides)
    found = Redo()
    with ThreadPoolExecutor(STORE_READERS) as readers:
        for changes in readers.map(lambda b: list(_find_changes(store, b, now, overrides.get(b, {}))), batches):
            for place, seconds, stage, why in changes:
                if place not in without:
                    found.seconds[place] = seconds
                    found.by_reason[stage, why] += seconds
    return found


@dataclass(frozen=True)
class _CurrentEngines:
    """What would make each result now."""

    settings: Settings
    engines: dict[Any, Engine | None] | None
    """Stage → its engine, for the stages that run; None if engines are not known here."""
    described: dict[Any, dict[str, Any]] = field(default_factory=dict)
    """Stage and inputs of an episode → description of its engine, made once."""
    differences: dict[Any, str | None] = field(default_factory=dict)
    """What made a result, stage and inputs → result of `difference`, found once."""

    @classmethod
    def of(
        cls, settings: Settings, profile: Profile | None, overrides: Mapping[str, Mapping[str, Record]]
    ) -> "_CurrentEngines":
        if profile is None:
            return cls(settings, None)
        chosen = (r["transcriber"] for records in overrides.values() for r in records.values())
        return cls(
            settings,
            {
                Ingest: Ingest.engine_of(profile) if settings.separator else None,
                Diarize: diarizer_choice(settings, profile),
                Transcribe: transcriber_choice(settings, profile, filter(None, chosen)),
                Score: Score.engine_of(profile),
                Package: None,
                **({SecondOpinion: None} if profile.second_transcriber else {}),
                **({Punctuate: None} if profile.punctuator else {}),
            },
        )

    def stages(self) -> list[Any]:
        return list(self.engines or (Ingest, Diarize, Transcribe, Score, Package))

    def difference(self, made_with: str, stage: Any, inputs: Mapping[str, Any]) -> str | None:
        """As the function, for the text in the provenance."""
        key = (stage, *sorted(inputs.items()))
        if key not in self.described:
            self.described[key] = self._describe(stage, inputs)
        if (made_with, key) not in self.differences:
            self.differences[made_with, key] = difference(json.loads(made_with), self.described[key])
        return self.differences[made_with, key]

    def _describe(self, stage: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if self.engines is None or stage in _OPTIONAL:
            return {"version": stage.version}
        engine = self.engines[stage]
        return json.loads(describe_engine(stage, engine.for_inputs(inputs) if engine else None))


def _find_changes(
    store: Store, batch: str, now: _CurrentEngines, overrides: Mapping[str, Record]
) -> Iterator[tuple[Place, float, str, str]]:
    audio = CommittedTable.read_columns(store, "raw_audio", batch, _AUDIO_COLUMNS)
    if audio.table is None:
        return
    discarded = read_batch_discards(store, batch)
    rows = {row["episode_id"]: row for row in apply_overrides(audio.table, overrides).iter_rows(named=True)}
    for stage in now.stages():
        # without the tables, which would take longer; damage is told, and repaired, by the run
        try:
            provenance = store.read_table(provenance_key(stage.name, batch), PROVENANCE)
        except DamagedTable:
            continue
        if provenance is None:
            continue
        for episode, made_with in provenance.select("episode_id", "made_with").iter_rows():
            if (row := rows.get(episode)) is None or made_with is None or episode in discarded:
                continue
            why = now.difference(made_with, stage, _inputs(stage, row, overrides.get(episode), now))
            if why is not None:
                yield (batch, episode), row["duration"] or 0.0, stage.name, why


def _inputs(stage: Any, row: Mapping[str, Any], record: Record | None, now: _CurrentEngines) -> dict[str, Any]:
    """Inputs of the stage that decide about an episode's engine."""
    if stage is Diarize and now.engines is not None:
        choice = now.engines[Diarize]
        known = {e.name for e in (choice.usual, *choice.others)}  # type: ignore[union-attr]
        return {DIARIZER: named} if (named := diarizer(row["metadata"], known)) else {}
    if stage is Transcribe:
        chosen = record["transcriber"] if record else None
        return {"language": row["language"] or now.settings.language, **({TRANSCRIBER: chosen} if chosen else {})}
    return {}


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """What differs between what made a result and what would make it now, for people; None if the results would be the same.

    Args:
        before: parsed `made_with` of the provenance.
        now: the same of now. A model that is not on this machine yet counts as the same if its name is.
    """
    if before.get("version") != now.get("version"):
        return f"version {before.get('version')} → {now.get('version')}"
    if now.keys() == {"version"}:
        return None
    old, new = _engine_names(before), _engine_names(now)
    if old != new:
        return f"{old or 'no engine'} → {new or 'no engine'}"
    models, known = _models(now), _models(before)
    for name, (model, content) in models.items():
        if content is None and name in known and known[name][0] != model:
            return f"model {known[name][0]} → {model}"
    return f"{new}: other settings or another model" if not _same_identity(before, now) else None


def _same_identity(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    for kind in ("routes", "parts"):
        old, new = before.get(kind) or {}, now.get(kind) or {}
        if old.keys() != new.keys() or not all(_same_identity(old[name], new[name]) for name in new):
            return False
    if "routes" in now or "parts" in now:  # their settings hold those of engines that only take over
        return before.get("coverage") == now.get("coverage") and _same_aligner(
            before.get("aligner"), now.get("aligner")
        )
    if now.get("model") is not None and before.get("model") != now["model"]:
        return False
    old, new = before.get("settings") or {}, now.get("settings") or {}
    return all(
        old.get(name) == value
        for name, value in new.items()
        if name != "model" and name not in _runtime(now.get("engine"))
    )


def _models(made_with: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Names of models and hashes of their content, by the language of their route, or under an empty name without routes."""
    settings = made_with.get("settings") or {}
    identities = made_with.get("routes")
    if identities is None:
        return {"": (settings.get("model"), made_with.get("model"))}
    names = {route["language"]: route["chain"][0].get("model") for route in settings.get("routes", ())}
    return {language: (names.get(language), found.get("model")) for language, found in identities.items()}


def _same_aligner(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    return before is now is None or (before is not None and now is not None and _same_identity(before, now))


@functools.cache
def _runtime(name: str | None) -> frozenset[str]:
    """Settings of an engine that change no result; the provenance has them too."""
    fields = next((e.model_fields for kind in FOLDERS for e in engines(kind) if e.name == name), {})
    extras = {field_name: field_info.json_schema_extra for field_name, field_info in fields.items()}
    return frozenset(n for n, extra in extras.items() if isinstance(extra, dict) and extra.get("runtime"))


def _engine_names(made_with: Mapping[str, Any]) -> str:
    """Names of the engines of a description, of several with their languages."""
    routes = made_with.get("routes")
    if routes:
        return ", ".join(f"{language}={engine.get('engine')}" for language, engine in sorted(routes.items()))
    return "+".join(sorted(made_with["parts"])) if made_with.get("parts") else str(made_with.get("engine") or "")
