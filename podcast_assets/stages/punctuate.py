"""Stage `punctuate`: each segment's text with punctuation and capitals, beside the text as it was heard."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from podcast_assets.engines.engine import Engine
from podcast_assets.quality.protocol import Punctuator
from podcast_assets.quality.punctuators.punctuation import same_words
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import PUNCTUATED_TEXTS, Columns

TEXT_COLUMNS = ("segment_id", "segment_index", "text", "language")
"""What it needs to know of the segments: another text is done again, another policy or score is not."""


@dataclass(frozen=True)
class Punctuate(OneByOne):
    """Texts → the same words with marks; null where their language is not known to the engine, or it changed a word."""

    engine: Engine
    name: ClassVar[str] = "punctuate"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = PUNCTUATED_TEXTS
    asset: ClassVar[str] = "punctuated_texts"

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """The punctuator."""
        return profile.punctuator

    def load(self, device: str | None = None) -> Punctuator:
        """The engine's worker."""
        return self.engine.load(device)

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> None:
        """Nothing: texts come with the episode."""

    def smoke_test(self, worker: Punctuator) -> None:
        """Punctuate two words."""
        worker.punctuate(["hello world"], ["en"])

    def process(self, worker: Punctuator, episode: Episode, prepared: None) -> pl.DataFrame:
        """One row per segment."""
        segments: pl.DataFrame = episode.inputs["texts"]
        texts = segments["text"].fill_null("").to_list()
        found = worker.punctuate(texts, segments["language"].to_list())
        kept = [
            new if new is not None and same_words(text, new) else None for text, new in zip(texts, found, strict=True)
        ]
        return segments.select(
            "segment_id",
            "segment_index",
            episode_id=pl.lit(episode.episode_id),
            text_punctuated=pl.Series(kept, dtype=pl.String),
        )
