"""Stage `moderate`: what is said, judged by one moderation policy."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import Engine
from podcast_assets.moderation.judging import (
    JudgedWindow,
    judge_windows,
    other_language,
    plan_episode,
    require_probes,
    verdict_of,
)
from podcast_assets.moderation.protocol import ContentClassifier, ModerationPolicy
from podcast_assets.moderation.texts import text_hash
from podcast_assets.moderation.windows import JudgedSegment
from podcast_assets.stages.engine_stage import EngineStage
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.speech_input import by_episode
from podcast_assets.stages.stage import Episode, EpisodeResult, OneByOne, PreparedEpisode
from podcast_assets.store.schema import CONTENT_FLAGS, Columns, schema
from podcast_assets.store.store import Store

TEXT_COLUMNS = ("segment_id", "start", "end", "speaker", "text", "language")
"""Columns of the segments that judgments depend on."""
_MADE_BY = ("engine", "degraded", "fingerprint")
_GPU_USE = ("never", "optional", "required")


@dataclass(frozen=True)
class Moderate(EngineStage, OneByOne):
    """Texts of an episode → a probability and a verdict for each window and each label of a policy."""

    store: Store
    engine: Engine
    policy: ModerationPolicy
    name: ClassVar[str] = "moderate"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = CONTENT_FLAGS
    asset: ClassVar[str] = "content_flags"

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """The classifier that most needs a GPU; None where no policy judges anything."""
        return max(profile.classifiers, key=lambda e: _GPU_USE.index(e.gpu_use()), default=None)

    def load(self, device: str | None = None) -> ContentClassifier:
        """Load the classifier, and try it on the calibration probes of the policy.

        Raises:
            EngineUnavailable: a package, a model or a server is missing.
            ProbesFailed: it answers a probe wrongly.
        """
        classifier: ContentClassifier = self.engine.load(device)
        require_probes(self.policy, classifier)
        return classifier

    def prepare(self, episode: Episode) -> None:
        """Nothing to prepare: the texts are inputs of the episode."""

    def smoke_test(self, worker: ContentClassifier) -> None:
        """Ask the calibration probes again."""
        require_probes(self.policy, worker)

    def process_all(self, worker: ContentClassifier, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """See `Stage`. A classifier that is lost in the middle, or has spent its budget, ends the stage and fails no episode.

        Raises:
            EngineUnavailable: the classifier cannot go on.
        """
        for result in super().process_all(worker, work):
            if isinstance(result.rows, EngineUnavailable):
                raise result.rows
            yield result

    def process(self, worker: ContentClassifier, episode: Episode, prepared: None) -> pl.DataFrame:
        """One row per window and label."""
        segments = [JudgedSegment(*row) for row in episode.inputs["texts"].select(TEXT_COLUMNS).iter_rows()]
        plan = plan_episode(segments, self.policy, worker)
        judged = sorted(judge_windows(plan, self.policy, worker, self.store), key=lambda j: j.window.index)
        hashes = {s.segment_id: text_hash(s.text) for s in segments}
        rows = [row for window in judged for row in window_rows(episode.episode_id, window, self.policy, hashes)]
        types = schema(self.columns)
        return pl.DataFrame(rows, schema={k: t for k, t in types.items() if k not in _MADE_BY})


def window_rows(
    episode_id: str, judged: JudgedWindow, policy: ModerationPolicy, hashes: dict[str, str]
) -> Iterable[dict[str, Any]]:
    """Rows of a judged window, one per label: columns of `CONTENT_FLAGS` without those that say what made them."""
    window = judged.window
    asked = other_language(window, policy) is None
    for label, judgment in zip(policy.labels, judged.judgments, strict=True):
        first = label is policy.labels[0]
        yield {
            "episode_id": episode_id,
            "policy": policy.name,
            "policy_version": policy.version,
            "policy_hash": policy.hash,
            "window": window.index,
            "start": window.start,
            "end": window.end,
            "segment_ids": list(window.segment_ids),
            "text_hashes": [hashes[s] for s in window.segment_ids],
            "label": label.slug,
            "label_name": label.name,
            "probability": judgment.probability,
            "threshold": label.threshold,
            "verdict": verdict_of(judgment, label.threshold, judged=asked),
            "reason": judgment.reason,
            "model": judgment.model,
            "tokens_in": judged.usage.tokens_in if first else None,
            "tokens_out": judged.usage.tokens_out if first else None,
            "price": judged.usage.price if first else None,
        }


def episodes_to_moderate(
    raw_audio: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame, policy: ModerationPolicy
) -> list[Episode]:
    """Return the work items of a policy: the episodes in which something was said, with their texts.

    Args:
        raw_audio: table of the batch.
        segments: its `diarized_segments`.
        transcripts: its `transcripts`.
        policy: the policy, whose hash is a part of each episode's fingerprint.
    """
    spoken = transcripts.filter(pl.col("text").fill_null("").str.strip_chars() != "")
    texts = by_episode(
        spoken.select("episode_id", "segment_id", "segment_index", "text", "language")
        .join(segments.select("segment_id", "start", "end", "speaker"), on="segment_id", how="inner")
        .sort("segment_index")
        .select("episode_id", *TEXT_COLUMNS)
    )
    return [
        Episode(
            row["episode_id"],
            row["source"],
            row["duration"],
            {"texts": texts[row["episode_id"]].drop("episode_id"), "policy": policy.hash},
        )
        for row in raw_audio.filter(status="done").iter_rows(named=True)
        if row["episode_id"] in texts
    ]
