"""Stage `punctuate`: each segment's text with punctuation and capitals, beside the text as it was transcribed."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines.engine import Engine
from podcast_assets.quality.protocol import Punctuator
from podcast_assets.quality.punctuators.punctuation import same_words
from podcast_assets.stages.engine_stage import EngineStage
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import PUNCTUATED_TEXTS, Columns

TEXT_COLUMNS = ("segment_id", "segment_index", "text", "language")
"""Columns of the segments that the result depends on: a changed text is punctuated again, a changed score or policy is not."""


@dataclass(frozen=True)
class Punctuate(EngineStage, OneByOne):
    """Texts → the same words with punctuation; null where the engine does not know the language, or changed a word."""

    engine: Engine
    name: ClassVar[str] = "punctuate"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = PUNCTUATED_TEXTS
    asset: ClassVar[str] = "punctuated_texts"

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """The punctuator."""
        return profile.punctuator

    def prepare(self, episode: Episode) -> None:
        """Nothing to prepare: the texts are inputs of the episode."""

    def smoke_test(self, worker: Punctuator) -> None:
        """Punctuate two words."""
        worker.punctuate(["hello world"], ["en"])

    def process(self, worker: Punctuator, episode: Episode, prepared: None) -> pl.DataFrame:
        """One row per segment."""
        segments: pl.DataFrame = episode.inputs["texts"]
        texts = segments["text"].fill_null("").to_list()
        answers = worker.punctuate(texts, segments["language"].to_list())
        punctuated = [
            answer if answer is not None and same_words(text, answer) else None
            for text, answer in zip(texts, answers, strict=True)
        ]
        return segments.select(
            "segment_id",
            "segment_index",
            episode_id=pl.lit(episode.episode_id),
            text_punctuated=pl.Series(punctuated, dtype=pl.String),
        )
