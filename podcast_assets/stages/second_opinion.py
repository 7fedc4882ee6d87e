"""Stage `second`: a second transcription of each segment, to be compared with the first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import polars as pl

from podcast_assets.engines.engine import Engine
from podcast_assets.speech.types import Transcriber
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.stage import EpisodeResult, PreparedEpisode
from podcast_assets.stages.transcribe import Transcribe
from podcast_assets.store.schema import SECOND_OPINIONS, Columns


@dataclass(frozen=True)
class SecondOpinion(Transcribe):
    """`Transcribe` with another engine, reduced to the columns of `second_opinions`."""

    name: ClassVar[str] = "second"
    version: ClassVar[str] = "3"
    columns: ClassVar[Columns] = SECOND_OPINIONS
    asset: ClassVar[str] = "second_opinions"

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The second transcriber."""
        return profile.second_transcriber

    def process_all(self, worker: Transcriber, work: Iterable[PreparedEpisode]) -> Iterator[EpisodeResult]:
        """One row per segment."""
        for done in super().process_all(worker, work):
            rows = done.rows
            if isinstance(rows, pl.DataFrame):
                rows = rows.select(name for name in self.columns if name != "fingerprint")
            yield replace(done, rows=rows)
