"""Stage `package`: each segment cut from the original and encoded, ready to be sealed into shards."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from podcast_assets.engines import Engine
from podcast_assets.schema import Columns
from podcast_assets.stages.stage import Episode, OneByOne
from podcast_assets.store import Store

if TYPE_CHECKING:
    from podcast_assets.audio.encode import Codec

SAMPLE_VERSION = 1
"""Version of the keys of a sample's JSON, its `v`."""


@dataclass(frozen=True)
class Package(OneByOne):
    """Original and all that is known of its segments → two members per segment: JSON and audio."""

    store: Store
    codec: "Codec"
    rate: int
    """Highest sample rate, Hz."""
    name: ClassVar[str] = "package"
    version: ClassVar[str] = "1"
    columns: ClassVar[Columns] = {
        "segment_id": (pl.String, "sample key"),
        "sample_rate": (pl.Int32, "Hz"),
        "json": (pl.Binary, "JSON member"),
        "audio": (pl.Binary, "audio member"),
    }
    asset: ClassVar[str] = "hf_shards"

    @property
    def engine(self) -> Engine | None:
        """None: the work is the same everywhere."""
        return None

    def load(self, device: str | None = None) -> None:
        """Nothing to load."""

    def outputs(self, episode: Episode) -> list[str]:
        """None."""
        return []

    def prepare(self, episode: Episode) -> pl.DataFrame:
        """Decode once, cut, encode; in the prefetch threads, because decoder and encoder release the interpreter's lock."""
        from podcast_assets.audio.cut import cut_segments
        from podcast_assets.audio.encode import encode

        samples: pl.DataFrame = episode.inputs["samples"]
        rate = shard_rate(self.codec, self.rate, int(episode.inputs["sample_rate"]))
        spans = list(samples.select("start", "end").iter_rows())
        rows = []
        with self.store.local_copy(str(episode.inputs["original"])) as original:
            for sample, audio in zip(
                samples.iter_rows(named=True), cut_segments(original, spans, rate=rate), strict=True
            ):
                rows.append(
                    {
                        "segment_id": sample["segment_id"],
                        "sample_rate": rate,
                        "json": sample_json(sample, rate),
                        "audio": encode(audio, rate, self.codec),
                    }
                )
        return pl.DataFrame(rows, schema={k: v for k, (v, _) in self.columns.items()})

    def process(self, worker: None, episode: Episode, prepared: pl.DataFrame) -> pl.DataFrame:
        """What `prepare` made."""
        return prepared


def shard_rate(codec: str, highest: int, source: int) -> int:
    """Sample rate in the shards, Hz: that of the source where it may be, never more, and one that the codec knows."""
    from podcast_assets.audio.encode import MP3_RATES, OPUS_RATES

    limit = min(highest, source)
    known = {"opus": OPUS_RATES, "mp3": MP3_RATES}.get(codec, (limit,))
    return max((r for r in known if r <= limit), default=min(known))


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
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
