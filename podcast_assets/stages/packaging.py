"""What the stages that encode audio for shards have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from podcast_assets.engines.engine import Engine
from podcast_assets.stages.speech_input import downmix_of
from podcast_assets.stages.stage import Episode, OneByOne, stage_fingerprint
from podcast_assets.store.schema import Columns
from podcast_assets.store.store import Store, encoded_key

if TYPE_CHECKING:
    from podcast_assets.audio.downmix import Downmix
    from podcast_assets.audio.form import AudioForm


@dataclass(frozen=True)
class PackagingStage(OneByOne):
    """A stage without an engine that decodes an original and writes one file per episode, in the form of the shards."""

    store: Store
    batch: str
    form: "AudioForm"
    name: ClassVar[str]
    version: ClassVar[str]
    columns: ClassVar[Columns]
    asset: ClassVar[str]

    @property
    def engine(self) -> Engine | None:
        """None: codecs give the same result everywhere."""
        return None

    @property
    def cpu_bound(self) -> bool:
        """True: decoding and encoding."""
        return True

    def load(self, device: str | None = None) -> None:
        """Nothing to load."""

    def outputs(self, episode: Episode) -> list[str]:
        """Key of the encoded file. It is stored with the checkpoints, and removed with them."""
        return [encoded_key(self.name, self.batch, episode.episode_id, stage_fingerprint(self, episode))]

    def prepare(self, episode: Episode) -> None:
        """Nothing to prepare: the original is decoded while it is encoded."""

    def channels_of(self, episode: Episode) -> int:
        """Channels in the shards: one where several tracks are mixed."""
        mixed = len(downmix_of(episode).tracks) > 1
        return 1 if mixed else self.form.channels_of(int(episode.inputs["channels"]))

    def loudness_gain(self, original: Path, channels: int, downmix: "Downmix") -> np.float32:
        """Factor of an episode's loudness preset. A preset reads the whole original once more, before it is encoded."""
        if self.form.loudness == "none":
            return np.float32(1)
        from podcast_assets.audio.downmix import open_blocks
        from podcast_assets.audio.loudness import emilia_gain, measure_levels

        with open_blocks(original, downmix, mono=channels == 1) as audio:
            return np.float32(emilia_gain(measure_levels(audio.blocks)))
