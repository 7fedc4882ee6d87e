"""Stage `package`: each segment cut from the original and encoded, ready to be sealed into shards."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from podcast_assets.engines.engine import Engine
from podcast_assets.shards.members import MEMBERS, MembersWriter
from podcast_assets.stages.stage import Episode, OneByOne, stage_fingerprint
from podcast_assets.store.schema import Columns
from podcast_assets.store.store import Store, encoded_key

if TYPE_CHECKING:
    from podcast_assets.audio.form import AudioForm

SAMPLE_VERSION = 1
"""Version of the keys of a sample's JSON, its `v`."""


@dataclass(frozen=True)
class Package(OneByOne):
    """Original and all that is known of its segments → two members per segment, JSON and audio, in one file per episode."""

    store: Store
    batch: str
    form: "AudioForm"
    name: ClassVar[str] = "package"
    version: ClassVar[str] = "2"
    columns: ClassVar[Columns] = MEMBERS
    asset: ClassVar[str] = "hf_shards"

    @property
    def engine(self) -> Engine | None:
        """None: the work is the same everywhere."""
        return None

    @property
    def cpu_bound(self) -> bool:
        """True: decoding and encoding."""
        return True

    def load(self, device: str | None = None) -> None:
        """Nothing to load."""

    def outputs(self, episode: Episode) -> list[str]:
        """The file of members. It lies among the checkpoints, and goes with them."""
        return [encoded_key(self.name, self.batch, episode.episode_id, stage_fingerprint(self, episode))]

    def prepare(self, episode: Episode) -> None:
        """Nothing."""

    def process(self, worker: None, episode: Episode, prepared: None) -> pl.DataFrame:
        """Decode once, cut, encode."""
        from podcast_assets.audio.cut import cut_segments
        from podcast_assets.audio.encode import encode

        samples: pl.DataFrame = episode.inputs["samples"]
        rate = self.form.rate_of(int(episode.inputs["sample_rate"]))
        channels = self.form.channels_of(int(episode.inputs["channels"]))
        spans = list(samples.select("start", "end").iter_rows())
        (target,) = self.outputs(episode)
        with self.store.local_copy(str(episode.inputs["original"])) as original, self.store.writing(target) as file:
            gain = np.float32(gain_of(original, self.form, channels))
            members = MembersWriter(file)
            cut = cut_segments(original, spans, rate=rate, mono=channels == 1)
            for sample, audio in zip(samples.iter_rows(named=True), cut, strict=True):
                encoded = encode(audio if gain == 1 else audio * gain, rate, self.form.codec)
                members.add(sample["segment_id"], sample_json(sample, rate), encoded, rate=rate, channels=channels)
        return members.rows()


def gain_of(original: Path, form: "AudioForm", channels: int) -> float:
    """Factor of an episode's loudness preset. A preset takes a pass over the whole original of its own, before the first cut."""
    if form.loudness == "none":
        return 1.0
    from podcast_assets.audio.decode import to_mono
    from podcast_assets.audio.loudness import emilia_gain, measure_levels
    from podcast_assets.audio.reader import open_audio

    with open_audio(original) as reader:
        return emilia_gain(measure_levels(to_mono(b) if channels == 1 else b for b in reader.blocks()))


def sample_json(sample: dict[str, Any], rate: int) -> bytes:
    """The JSON member: what never changes once a segment is published.

    Every key is always there, and floats are always floats, because readers infer types from the first samples.
    """
    keys = (
        "episode_id podcast_id segment_index start end duration text language language_probability speaker "
        "words avg_logprob no_speech_prob compression_ratio"
    ).split()
    content = {
        "id": sample["segment_id"],
        **{k: sample[k] for k in keys},
        "sample_rate": rate,
        "license": sample["license"],
        "v": SAMPLE_VERSION,
    }
    return compact_json(content)


def compact_json(content: dict[str, Any]) -> bytes:
    """JSON in UTF-8 without spaces, keys as they come."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
