"""Features of the shards for `datasets` and for the dataset card.

They are declared because `datasets` infers features from the first samples only: it drops keys that appear later, reads 6.0 as an
integer, or fails if a value follows a null.
"""

from typing import TYPE_CHECKING, Any, cast

from podcast_assets.release.published import EPISODES, SEGMENTS

if TYPE_CHECKING:
    from datasets import Features

FeatureType = str | list[Any] | dict[str, Any]
"""A type: the name of a scalar, a list with the type of its items, or a mapping of names to types."""

WORD: FeatureType = {"word": "string", "start": "float64", "end": "float64", "probability": "float64"}
SEGMENT: dict[str, FeatureType] = {
    "id": "string",
    "episode_id": "string",
    "podcast_id": "string",
    "segment_index": "int64",
    "start": "float64",
    "end": "float64",
    "duration": "float64",
    "text": "string",
    "language": "string",
    "language_probability": "float64",
    "speaker": "string",
    "words": [WORD],
    "avg_logprob": "float64",
    "no_speech_prob": "float64",
    "compression_ratio": "float64",
    "sample_rate": "int64",
    "license": "string",
    "v": "int64",
}
"""JSON member of a segment (`stages.package.sample_json`)."""
TURN: dict[str, FeatureType] = {"start": "float64", "end": "float64", "speaker": "string"}
EPISODE: dict[str, FeatureType] = {
    "id": "string",
    "episode_id": "string",
    "podcast_id": "string",
    "podcast": "string",
    "title": "string",
    "duration": "float64",
    "language": "string",
    "speakers": ["string"],
    "turns": [TURN],
    "rttm": "string",
    "segments": [{"segment_id": "string", **TURN, "text": "string", "language": "string", "words": [WORD]}],
    "text": "string",
    "sample_rate": "int64",
    "license": "string",
    "v": "int64",
}
"""JSON member of a whole episode (`shards.episode_grain.episode_json`)."""
AUDIO = "audio"


def columns(codec: str, grain: str = SEGMENTS) -> dict[str, FeatureType]:
    """Columns of a shard: `__key__`, `__url__`, `json` (the JSON member) and the audio, named like the codec."""
    return {
        "__key__": "string",
        "__url__": "string",
        "json": SEGMENT if grain == SEGMENTS else EPISODE,
        codec: AUDIO,
    }


def features(codec: str = "flac", *, decode: bool = False, grain: str = SEGMENTS) -> "Features":
    """Features of a shard for `datasets`.

    Args:
        codec: suffix of the audio members, without the dot.
        decode: whether to decode audio, as `Audio()` (requires torch and torchcodec); otherwise it is the bytes of the file.
        grain: what one sample is, SEGMENTS or EPISODES.
    """
    from datasets import Audio, Features, List, Value

    def to_feature(kind: FeatureType) -> Any:
        if isinstance(kind, dict):
            return {name: to_feature(inner) for name, inner in kind.items()}
        if isinstance(kind, list):
            return List(to_feature(kind[0]))
        if kind == AUDIO:
            return Audio() if decode else Value("binary")
        return Value(kind)

    return Features(cast("dict[str, Any]", to_feature(columns(codec, grain))))


def episode_features(codec: str = "flac", *, decode: bool = False) -> "Features":
    """Features of the shards of whole episodes; see `features`."""
    return features(codec, decode=decode, grain=EPISODES)


def declared(codec: str, grain: str = SEGMENTS) -> list[dict[str, Any]]:
    """Features of a shard in the form of `dataset_info` in a card."""
    return _struct_features(columns(codec, grain))


def _struct_features(fields: dict[str, FeatureType]) -> list[dict[str, Any]]:
    return [{"name": name, **_declare_type(kind)} for name, kind in fields.items()]


def _declare_type(kind: FeatureType) -> dict[str, Any]:
    if isinstance(kind, dict):
        return {"struct": _struct_features(kind)}
    if isinstance(kind, list):
        inner = _declare_type(kind[0])
        return {"list": inner["struct"] if list(inner) == ["struct"] else inner["dtype"]}
    return {"dtype": kind}
