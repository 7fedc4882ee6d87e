"""Stage `ingest`: what a recording is, and its working audio."""

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.engines.engine import Engine
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import RAW_AUDIO, Columns
from podcast_assets.store.store import Store, working_key

if TYPE_CHECKING:
    from podcast_assets.audio.separators.separation import Separator

_HASH_DIGITS = 12
_COLUMNS = (
    "episode_id container codec sample_rate channels audio_streams bit_rate has_video declared_duration duration working opus "
    "fingerprint"
)


@dataclass(frozen=True)
class Ingest(OneByOne):
    """Decode each original once, all of it: so a truncated file is found here, and later stages read fast mono 16 kHz FLAC.

    With a separator, that is of the voice without the music; the original stays as it came.
    """

    store: Store
    engine: Engine | None = None
    """The separator; None for the audio as it is."""
    longest: float = math.inf
    """Seconds of a recording that are decoded at most."""
    name: ClassVar[str] = "ingest"
    version: ClassVar[str] = "2"
    columns: ClassVar[Columns] = {name: RAW_AUDIO[name] for name in _COLUMNS.split()}
    asset: ClassVar[str] = "raw_audio"

    @property
    def cpu_bound(self) -> bool:
        """Decoding is; a separator is a model."""
        return self.engine is None

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """The separator."""
        return profile.separator

    def load(self, device: str | None = None) -> "Separator | None":
        """The separator's worker."""
        return self.engine.load(device) if self.engine else None

    def outputs(self, episode: Episode) -> list[str]:
        """The working audio, and its copy in Opus where one is wanted."""
        return [key for key in (self._working(episode), self._opus(episode)) if key]

    def prepare(self, episode: Episode) -> None:
        """Nothing."""

    def process(self, worker: "Separator | None", episode: Episode, prepared: None) -> pl.DataFrame:
        """One row."""
        row = self._make(episode, worker)
        types = {k: v for k, (v, _) in self.columns.items() if k in row}
        return pl.DataFrame([row], schema=types)

    def _make(self, episode: Episode, separator: "Separator | None") -> dict[str, Any]:
        """Probe, decode, and write the working audio."""
        from podcast_assets.audio.decode_process import make_working_audio_in_subprocess
        from podcast_assets.audio.ingest import OpusCopy, make_working_audio

        key, opus_key = self._working(episode), self._opus(episode)
        bit_rate = int(episode.inputs.get("opus", 0))
        with contextlib.ExitStack() as files:
            original = files.enter_context(self.store.local_copy(str(episode.inputs["original"])))
            target = files.enter_context(self.store.writing(key))
            opus = files.enter_context(self.store.writing(opus_key)) if opus_key else None
            if separator is None:
                working = make_working_audio_in_subprocess(
                    original,
                    Path(target.name),
                    opus=Path(opus.name) if opus else None,
                    bit_rate=bit_rate,
                    longest=self.longest,
                )
            else:
                copy = OpusCopy(opus, bit_rate) if opus else None
                working = make_working_audio(original, target, separator, opus=copy, longest=self.longest)
        found = working.probe
        return {
            "episode_id": episode.episode_id,
            "container": found.container,
            "codec": found.codec,
            "sample_rate": found.sample_rate,
            "channels": found.channels,
            "audio_streams": found.audio_streams,
            "bit_rate": found.bit_rate,
            "has_video": found.has_video,
            "declared_duration": found.declared_duration,
            "duration": working.duration,
            "working": key,
            "opus": opus_key,
        }

    def _working(self, episode: Episode) -> str:
        """Key of the working audio: another one for every separator, so that no stage takes one for the other."""
        separated = fingerprint(**self.engine.identity())[:_HASH_DIGITS] if self.engine else None
        return working_key(str(episode.inputs["sha256"]), separated)

    def _opus(self, episode: Episode) -> str | None:
        """Key of the copy in Opus, where one is wanted."""
        bit_rate = episode.inputs.get("opus")
        name = self._working(episode).removeprefix("audio/working/").removesuffix(".flac")
        return f"audio/opus/{name}-{bit_rate}.opus" if bit_rate else None


def ingest_episode(episode_id: str, source: str, sha256: str, original: str, *, opus: int | None = None) -> Episode:
    """The work item of one recording.

    Args:
        episode_id: of the recording.
        source: its name in the batch.
        sha256: of its bytes.
        original: key of its bytes.
        opus: bit/s of a copy in Opus; None for none.
    """
    wanted = {"opus": opus} if opus else {}
    return Episode(episode_id, source, 0.0, {"sha256": sha256, "original": original, **wanted})
