"""Moderation trial: a moderation policy tried on a sample of transcripts, with what all of them would take. Writes nothing."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.config.settings import Settings
from podcast_assets.moderation.judging import (
    JudgedWindow,
    ProbeResult,
    ask_probes,
    judge_windows,
    other_language,
    plan_episode,
    verdict_of,
)
from podcast_assets.moderation.protocol import ContentClassifier, ModerationPolicy, Usage, Window
from podcast_assets.moderation.windows import JudgedSegment, WindowPlan, count_words
from podcast_assets.stages.moderate import TEXT_COLUMNS, episodes_to_moderate
from podcast_assets.stages.profiles import make_classifier
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store

_TABLES = ("raw_audio", "diarized_segments", "transcripts")


@dataclass(frozen=True)
class TriedWindow:
    """A window of the sample with its judgments."""

    batch: str
    episode_id: str
    source: str
    judged: JudgedWindow


@dataclass(frozen=True)
class ModerationTrial:
    """What a policy says of a sample, and what judging everything would take."""

    policy: ModerationPolicy
    batches: Sequence[str]
    episodes: int
    hours: float
    """Audio of these episodes, h."""
    windows: int
    """Windows that would be judged."""
    windows_in_other_languages: int
    words: int
    """Words of the windows that would be judged."""
    probes: Sequence[ProbeResult]
    sample: Sequence[TriedWindow]
    usage: Usage
    """Of the sample."""
    seconds: float
    """Time in which the sample was judged, s."""

    @property
    def estimate(self) -> Usage:
        """What all windows would take: the sample's usage by its share of the words; `seconds` by the clock."""
        tried = sum(count_words(t.judged.window.text) for t in self.sample)
        factor = self.words / tried if tried else 0.0
        return Usage(
            round(self.usage.tokens_in * factor),
            round(self.usage.tokens_out * factor),
            self.seconds * factor,
            None if self.usage.price is None else self.usage.price * factor,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the trial as JSON values."""
        estimate = self.estimate
        return {
            "policy": self.policy.title,
            "engine": self.policy.engine,
            "batches": list(self.batches),
            "episodes": self.episodes,
            "hours": round(self.hours, 4),
            "windows": self.windows,
            "windows_in_other_languages": self.windows_in_other_languages,
            "probes_right": sum(p.right for p in self.probes),
            "probes": len(self.probes),
            "estimate": asdict(estimate) | {"seconds": round(estimate.seconds, 1)},
            "sample": [
                {
                    "batch": tried.batch,
                    "episode_id": tried.episode_id,
                    "start": tried.judged.window.start,
                    "end": tried.judged.window.end,
                    "text": tried.judged.window.text,
                    "labels": [
                        {
                            "label": label.slug,
                            "probability": judgment.probability,
                            "verdict": verdict_of(judgment, label.threshold),
                            "reason": judgment.reason,
                        }
                        for label, judgment in zip(self.policy.labels, tried.judged.judgments, strict=True)
                    ],
                }
                for tried in self.sample
            ],
        }


@dataclass(frozen=True)
class _Planned:
    batch: str
    episode_id: str
    source: str
    window: Window
    too_long: bool


def try_policy(
    store: Store, settings: Settings, policy: ModerationPolicy, batches: Iterable[str] | None, sample: int
) -> ModerationTrial:
    """Judge a sample of the windows of transcribed batches, spread evenly over them, and estimate what all would take.

    Args:
        store: the store with the batches.
        settings: settings of the classifier.
        policy: the policy.
        batches: batches to use; None for all with transcripts.
        sample: number of windows to judge.

    Raises:
        BadInput: a batch has no transcripts, or there are none.
        EngineUnavailable: the classifier cannot be loaded here.
        Misconfigured: the classifier cannot judge the policy.
    """
    engine = make_classifier(policy, settings)
    names = list(dict.fromkeys(batches)) if batches is not None else list(store.table_names("tables/transcripts"))
    if not names:
        raise BadInput(f"no batch in the store {settings.store} has transcripts: materialize them first")
    engine.fetch()
    devices = engine.devices()
    classifier: ContentClassifier = engine.load(devices[0] if devices else None)
    planned: list[_Planned] = []
    episodes, hours, elsewhere = 0, 0.0, 0
    for batch in names:
        for episode in _read_episodes(store, batch, policy):
            segments = [JudgedSegment(*row) for row in episode.inputs["texts"].select(TEXT_COLUMNS).iter_rows()]
            plan = plan_episode(segments, policy, classifier)
            episodes, hours = episodes + 1, hours + episode.seconds / 3600
            for window in plan.windows:
                if other_language(window, policy):
                    elsewhere += 1
                else:
                    too_long = window.index in plan.too_long
                    planned.append(_Planned(batch, episode.episode_id, episode.source, window, too_long))
    probes = ask_probes(policy, classifier)
    chosen = _spread(planned, sample)
    began = time.monotonic()
    tried = _judge(chosen, policy, classifier)
    return ModerationTrial(
        policy=policy,
        batches=names,
        episodes=episodes,
        hours=hours,
        windows=len(planned),
        windows_in_other_languages=elsewhere,
        words=sum(count_words(p.window.text) for p in planned),
        probes=probes,
        sample=tried,
        usage=sum((t.judged.usage for t in tried), Usage()),
        seconds=time.monotonic() - began,
    )


def _read_episodes(store: Store, batch: str, policy: ModerationPolicy) -> list[Any]:
    tables = []
    for asset in _TABLES:
        committed = CommittedTable.read(store, asset, batch)
        if committed.table is None:
            raise BadInput(
                f"batch {batch}: {asset} is not materialized (by this version), or damaged; materialize it first"
            )
        tables.append(committed.table)
    return episodes_to_moderate(tables[0], tables[1], tables[2], policy)


def _spread(planned: Sequence[_Planned], sample: int) -> list[_Planned]:
    """Choose windows at equal distances, so that the same store gives the same sample."""
    if len(planned) <= sample:
        return list(planned)
    return [planned[i * len(planned) // sample] for i in range(sample)]


def _judge(chosen: Sequence[_Planned], policy: ModerationPolicy, classifier: ContentClassifier) -> list[TriedWindow]:
    """Judge windows of several episodes together, as one list: their indexes are those of the list."""
    windows = tuple(replace(p.window, index=i) for i, p in enumerate(chosen))
    plan = WindowPlan(windows, frozenset(i for i, p in enumerate(chosen) if p.too_long), 0)
    judged = sorted(judge_windows(plan, policy, classifier), key=lambda j: j.window.index)
    return [TriedWindow(p.batch, p.episode_id, p.source, j) for p, j in zip(chosen, judged, strict=True)]
