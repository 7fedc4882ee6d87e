"""Stage `package`: each segment cut from the original and encoded, ready to be sealed into shards."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from podcast_assets.shards.members import MEMBERS, MembersWriter
from podcast_assets.stages.packaging import PackagingStage
from podcast_assets.stages.speech_input import downmix_of
from podcast_assets.stages.stage import Episode
from podcast_assets.store.schema import Columns

SAMPLE_VERSION = 1
"""Version of the keys of a sample's JSON, its `v`."""
_SAMPLE_KEYS = (
    "episode_id podcast_id segment_index start end duration text language language_probability speaker "
    "words avg_logprob no_speech_prob compression_ratio"
).split()


@dataclass(frozen=True)
class Package(PackagingStage):
    """Original and segments → two members per segment, JSON and audio, in one file per episode."""

    name: ClassVar[str] = "package"
    version: ClassVar[str] = "2"
    columns: ClassVar[Columns] = MEMBERS
    asset: ClassVar[str] = "hf_shards"

    def process(self, worker: None, episode: Episode, prepared: None) -> pl.DataFrame:
        """Decode the original once, cut and encode its segments; one row per segment."""
        from podcast_assets.audio.cut import cut_segments
        from podcast_assets.audio.encode import encode

        samples: pl.DataFrame = episode.inputs["samples"]
        rate = self.form.rate_of(int(episode.inputs["sample_rate"]))
        channels, downmix = self.channels_of(episode), downmix_of(episode)
        spans = list(samples.select("start", "end").iter_rows())
        (target,) = self.outputs(episode)
        with self.store.local_copy(str(episode.inputs["original"])) as original, self.store.writing(target) as file:
            gain = self.loudness_gain(original, channels, downmix)
            members = MembersWriter(file)
            cut = cut_segments(original, spans, rate=rate, mono=channels == 1, downmix=downmix)
            for sample, audio in zip(samples.iter_rows(named=True), cut, strict=True):
                encoded = encode(audio if gain == 1 else audio * gain, rate, self.form.codec)
                members.add(sample["segment_id"], sample_json(sample, rate), encoded, rate=rate, channels=channels)
        return members.rows()


def sample_json(sample: dict[str, Any], rate: int) -> bytes:
    """The JSON member: what never changes once a segment is published.

    Every key is always there, and floats are always floats, because readers infer types from the first samples.
    """
    content = {
        "id": sample["segment_id"],
        **{k: sample[k] for k in _SAMPLE_KEYS},
        "sample_rate": rate,
        "license": sample["license"],
        "v": SAMPLE_VERSION,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
