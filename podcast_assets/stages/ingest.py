"""Stage `ingest`: probe a recording, and decode it to working audio."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.engines.engine import Engine
from podcast_assets.intake.duplicates.near import fingerprint_key
from podcast_assets.stages.profiles import Profile
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store.schema import RAW_AUDIO, Columns
from podcast_assets.store.store import Store, working_key

if TYPE_CHECKING:
    from podcast_assets.audio.separators.separation import Separator

_HASH_DIGITS = 12
_COLUMNS = (
    "episode_id container codec sample_rate channels audio_streams downmix bit_rate has_video declared_duration duration "
    "gap_seconds retimed working opus warnings fingerprint"
)


@dataclass(frozen=True)
class Ingest(OneByOne):
    """Decode each original once and whole: a truncated file is found here, and later stages read mono 16 kHz FLAC, which is fast.

    With a separator, the working audio is the voice without the music; the original stays unchanged.
    """

    store: Store
    engine: Engine | None = None
    """The separator; None to leave the audio as it is."""
    longest: float = math.inf
    """Seconds of a recording that are decoded, at most."""
    name: ClassVar[str] = "ingest"
    version: ClassVar[str] = "3"
    columns: ClassVar[Columns] = {name: RAW_AUDIO[name] for name in _COLUMNS.split()}
    asset: ClassVar[str] = "raw_audio"

    @property
    def cpu_bound(self) -> bool:
        """True without a separator: decoding is CPU work."""
        return self.engine is None

    @staticmethod
    def engine_of(profile: Profile) -> Engine | None:
        """Return the separator of a profile."""
        return profile.separator

    def load(self, device: str | None = None) -> "Separator | None":
        """Load the separator, if there is one."""
        return self.engine.load(device) if self.engine else None

    def outputs(self, episode: Episode) -> list[str]:
        """Keys of the working audio, and of its Opus copy where the episode asks for one."""
        return [key for key in (self._working_key(episode), self._opus_key(episode)) if key]

    def prepare(self, episode: Episode) -> None:
        """Do nothing."""

    def process(self, worker: "Separator | None", episode: Episode, prepared: None) -> pl.DataFrame:
        """Return one row."""
        row = self._make_working_audio(episode, worker)
        types = {k: v for k, (v, _) in self.columns.items() if k in row}
        return pl.DataFrame([row], schema=types)

    def _make_working_audio(self, episode: Episode, separator: "Separator | None") -> dict[str, Any]:
        """Probe, decode, and write the working audio; return the row."""
        from podcast_assets.audio.decode_process import make_working_audio_in_subprocess
        from podcast_assets.audio.ingest import OpusCopy, make_working_audio

        key, opus_key = self._working_key(episode), self._opus_key(episode)
        bit_rate, tracks = int(episode.inputs.get("opus", 0)), episode.inputs.get("tracks", ())
        with contextlib.ExitStack() as files:
            original = files.enter_context(self.store.local_copy(str(episode.inputs["original"])))
            target = files.enter_context(self.store.writing(key))
            opus = files.enter_context(self.store.writing(opus_key)) if opus_key else None
            if separator is None:
                working = make_working_audio_in_subprocess(
                    original,
                    Path(target.name),
                    tracks=tracks,
                    opus=Path(opus.name) if opus else None,
                    bit_rate=bit_rate,
                    longest=self.longest,
                )
            else:
                copy = OpusCopy(opus, bit_rate) if opus else None
                working = make_working_audio(
                    original, target, separator, tracks=tracks, opus=copy, longest=self.longest
                )
        self.store.remove(fingerprint_key(key))  # that of working audio which this replaces
        found = working.probe
        return {
            "episode_id": episode.episode_id,
            "container": found.container,
            "codec": found.codec,
            "sample_rate": found.sample_rate,
            "channels": found.channels,
            "audio_streams": found.audio_streams,
            "downmix": working.downmix and asdict(working.downmix),
            "bit_rate": found.bit_rate,
            "has_video": found.has_video,
            "declared_duration": found.declared_duration,
            "duration": working.duration,
            "gap_seconds": working.gap_seconds,
            "retimed": working.retimed,
            "working": key,
            "opus": opus_key,
            "warnings": [asdict(w) for w in working.warnings],
        }

    def _working_key(self, episode: Episode) -> str:
        """Key of the working audio: each separator and choice of tracks has its own, so that no stage reads that of another."""
        separated = fingerprint(**self.engine.identity())[:_HASH_DIGITS] if self.engine else None
        tracks = "+".join(map(str, episode.inputs.get("tracks", ())))
        return working_key(str(episode.inputs["sha256"]), tracks and f"track{tracks}", separated)

    def _opus_key(self, episode: Episode) -> str | None:
        """Key of the Opus copy; None where the episode asks for none."""
        bit_rate = episode.inputs.get("opus")
        name = self._working_key(episode).removeprefix("audio/working/").removesuffix(".flac")
        return f"audio/opus/{name}-{bit_rate}.opus" if bit_rate else None


def ingest_episode(
    episode_id: str, source: str, sha256: str, original: str, *, opus: int | None = None, tracks: Sequence[int] = ()
) -> Episode:
    """Return the work item of a recording.

    Args:
        episode_id: id of the recording.
        source: its name in the batch.
        sha256: hash of its bytes.
        original: key of its bytes in the store.
        opus: bit/s of the Opus copy; None for no copy.
        tracks: audio tracks that are taken, counted from 1; empty for the best one.
    """
    copy = {"opus": opus} if opus else {}
    chosen = {"tracks": list(tracks)} if tracks else {}
    return Episode(episode_id, source, 0.0, {"sha256": sha256, "original": original, **copy, **chosen})
