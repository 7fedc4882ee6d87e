"""Stage `ingest`: what a recording is, and its working audio."""

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from podcast_assets.engines import Engine
from podcast_assets.schema import RAW_AUDIO, Columns
from podcast_assets.stages.stage import Episode
from podcast_assets.store import Store, working_key

_COLUMNS = (
    "episode_id container codec sample_rate channels bit_rate has_video declared_duration duration working fingerprint"
)


@dataclass(frozen=True)
class Ingest:
    """Decode each original once, all of it: so a truncated file is found here, and later stages read fast mono 16 kHz FLAC."""

    store: Store
    name: ClassVar[str] = "ingest"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = {name: RAW_AUDIO[name] for name in _COLUMNS.split()}
    asset: ClassVar[str] = "raw_audio"

    @property
    def engine(self) -> Engine | None:
        """None: the work is the same everywhere."""
        return None

    def load(self, device: str | None = None) -> None:
        """Nothing to load."""

    def outputs(self, episode: Episode) -> list[str]:
        """The working audio."""
        return [working_key(str(episode.inputs["sha256"]))]

    def prepare(self, episode: Episode) -> dict[str, Any]:
        """Probe and decode; in the prefetch threads, because the decoder releases the interpreter's lock."""
        from podcast_assets.audio.ingest import make_working

        key = working_key(str(episode.inputs["sha256"]))
        with self.store.local_copy(str(episode.inputs["original"])) as original, self.store.writing(key) as target:
            working = make_working(original, target)
        found = working.probe
        return {
            "episode_id": episode.episode_id,
            "container": found.container,
            "codec": found.codec,
            "sample_rate": found.sample_rate,
            "channels": found.channels,
            "bit_rate": found.bit_rate,
            "has_video": found.has_video,
            "declared_duration": found.declared_duration,
            "duration": working.duration,
            "working": key,
        }

    def process(self, worker: None, episode: Episode, prepared: dict[str, Any]) -> pl.DataFrame:
        """One row."""
        types = {k: v for k, (v, _) in self.columns.items() if k in prepared}
        return pl.DataFrame([prepared], schema=types)


def ingest_episode(episode_id: str, source: str, sha256: str, original: str) -> Episode:
    """The work item of one recording."""
    return Episode(episode_id, source, 0.0, {"sha256": sha256, "original": original})
