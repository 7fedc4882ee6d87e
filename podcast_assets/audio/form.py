"""Audio format in shards: rate, channels and level that a source is converted to."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from podcast_assets.audio.encode import MP3_RATES, OPUS_RATES, Codec
from podcast_assets.audio.loudness import Loudness

Channels = Literal["mono", "source"]

COPYABLE_FORMATS: dict[str, tuple[str, str]] = {
    "mp3": ("mp3", "mp3"),
    "ogg": ("opus", "opus"),
    "flac": ("flac", "flac"),
    "wav": ("pcm_s16le", "wav"),
}
"""Container → codec of a file and the equivalent `Codec`, by the names of libavformat and libavcodec; `mp3float` is MP3 too."""


@dataclass(frozen=True, slots=True)
class AudioForm:
    """Format of the audio in shards."""

    codec: Codec = "flac"
    rate: int = 24_000
    """Highest sample rate, Hz."""
    channels: Channels = "mono"
    loudness: Loudness = "none"

    def rate_of(self, source_rate: int) -> int:
        """Return the sample rate, Hz: the source's if allowed, never higher, and one that the codec supports."""
        limit = min(self.rate, source_rate)
        known = {"opus": OPUS_RATES, "mp3": MP3_RATES}.get(self.codec, (limit,))
        return max((r for r in known if r <= limit), default=min(known))

    def channels_of(self, source_channels: int) -> int:
        """Return one or two channels. Surround sound becomes mono, as lossy codecs take two at most and readers expect no more."""
        return source_channels if self.channels == "source" and source_channels <= 2 else 1

    def takes_as_is(self, container: str, codec: str, rate: int, channels: int) -> bool:
        """Return whether a file has this format already, so that its bytes can be copied without another lossy encoding."""
        kind, form = COPYABLE_FORMATS.get(container, ("", ""))
        same = form == self.codec and codec.removesuffix("float") == kind
        return same and self.loudness == "none" and rate <= self.rate and channels == self.channels_of(channels)

    def fingerprint_values(self) -> dict[str, Any]:
        """Return the values that go into fingerprints."""
        return asdict(self)
