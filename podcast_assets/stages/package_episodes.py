"""Stage `package_episodes`: each episode whole, in the form of the shards, with its transcript."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar

import polars as pl

from podcast_assets.shards.episode_grain import episode_json
from podcast_assets.stages.packaging import PackagingStage
from podcast_assets.stages.speech_input import downmix_of
from podcast_assets.stages.stage import Episode
from podcast_assets.store.schema import Columns
from podcast_assets.store.store import BLOCK

if TYPE_CHECKING:
    from podcast_assets.audio.downmix import Downmix


@dataclass(frozen=True)
class PackageEpisodes(PackagingStage):
    """Original and segments → one JSON and one audio file. Audio is streamed: a few seconds of it are in memory at once."""

    name: ClassVar[str] = "package_episodes"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = {
        "episode_id": (pl.String, "sample key"),
        "sample_rate": (pl.Int32, "Hz"),
        "channels": (pl.Int32, "of the audio"),
        "json": (pl.Binary, "JSON member"),
        "json_sha256": (pl.String, "of the JSON"),
        "audio_size": (pl.Int64, "bytes"),
        "audio_sha256": (pl.String, "of the audio"),
    }
    asset: ClassVar[str] = "episode_shards"

    def process(self, worker: None, episode: Episode, prepared: None) -> pl.DataFrame:
        """Decode and encode in one pass, or copy an original that already has the form of the shards; one row."""
        rate, channels = int(episode.inputs["sample_rate"]), int(episode.inputs["channels"])
        as_is = episode.inputs["nothing_else"] and self.form.takes_as_is(
            str(episode.inputs["container"]), str(episode.inputs["audio_codec"]), rate, channels
        )
        if not as_is:
            rate, channels = self.form.rate_of(rate), self.channels_of(episode)
        (target,) = self.outputs(episode)
        with self.store.local_copy(str(episode.inputs["original"])) as original, self.store.writing(target) as file:
            if as_is:
                with original.open("rb") as source:
                    shutil.copyfileobj(source, file, BLOCK)
            else:
                self._encode(original, file, rate, channels, downmix_of(episode))
            size, sha256 = _size_and_sha256(file)
        content = episode_json(
            episode.inputs["about"], episode.inputs["samples"], episode.inputs["rttm"], sample_rate=rate
        )
        row = {
            "episode_id": episode.episode_id,
            "sample_rate": rate,
            "channels": channels,
            "json": content,
            "json_sha256": hashlib.sha256(content).hexdigest(),
            "audio_size": size,
            "audio_sha256": sha256,
        }
        return pl.DataFrame([row], schema={k: v for k, (v, _) in self.columns.items()})

    def _encode(self, original: Path, file: BinaryIO, rate: int, channels: int, downmix: "Downmix") -> None:
        from podcast_assets.audio.downmix import open_blocks
        from podcast_assets.audio.encode_whole import encode_whole
        from podcast_assets.audio.resampling import resample

        gain = self.loudness_gain(original, channels, downmix)
        with open_blocks(original, downmix, mono=channels == 1) as audio:
            resampled = resample(audio.blocks, audio.rate, rate, channels)
            scaled = (b * gain for b in resampled) if gain != 1 else resampled
            encode_whole(scaled, file, rate, channels, self.form.codec)


def _size_and_sha256(file: BinaryIO) -> tuple[int, str]:
    """Size and SHA-256 of a written file. It is read back, because encoders rewrite their headers at the end."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while block := file.read(BLOCK):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()
