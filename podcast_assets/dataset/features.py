"""The features of the shards as `datasets` declares them.

They are declared because inference looks at the first samples only: it drops keys that come later, makes 6.0 an integer, or raises
where a null is followed by a value.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Features


def features(codec: str = "flac", *, decode: bool = False) -> "Features":
    """Features of a shard: `__key__`, `__url__`, `json` (the sample's JSON) and the audio under the codec's name.

    Args:
        codec: suffix of the audio members.
        decode: give the audio as `Audio()` (needs torch and torchcodec); else as the bytes of its file.
    """
    from datasets import Audio, Features, List, Value

    text, number, integer = Value("string"), Value("float64"), Value("int64")
    word = {"word": text, "start": number, "end": number, "probability": number}
    return Features(
        {
            "__key__": text,
            "__url__": text,
            "json": {
                "id": text,
                "episode_id": text,
                "podcast_id": text,
                "segment_index": integer,
                "start": number,
                "end": number,
                "duration": number,
                "text": text,
                "language": text,
                "language_probability": number,
                "speaker": text,
                "words": List(word),
                "avg_logprob": number,
                "no_speech_prob": number,
                "compression_ratio": number,
                "sample_rate": integer,
                "license": text,
                "v": integer,
            },
            codec: Audio() if decode else Value("binary"),
        }
    )
