"""Audio tracks of an open container."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

_GENERIC_TITLES = {
    "SoundHandler",
    "SoundHandle",
    "Sound Media Handler",
    "Apple Sound Media Handler",
    "Core Media Audio",
}
"""Names that muxers and cameras write into every MP4."""
_ROLES = {
    "visual_impaired": "audio description",
    "hearing_impaired": "for the hard of hearing",
    "comment": "commentary",
    "dub": "dubbed",
}
"""libavformat's dispositions that say what a track is for."""


@dataclass(frozen=True, slots=True)
class Track:
    """An audio track as its container describes it."""

    number: int
    """Position among the audio tracks, counted from 1."""
    language: str | None
    """Language that the container declares, usually ISO 639-2; None if undeclared."""
    title: str | None
    role: str | None
    """What the track is for, such as `audio description`; None for ordinary ones."""
    can_be_decoded: bool = True

    def __str__(self) -> str:
        """Number, language, title and role for people."""
        about = ", ".join(filter(None, (self.language, f"“{self.title}”" if self.title else None, self.role)))
        return f"track {self.number}{f' ({about})' if about else ''}"


@dataclass(frozen=True, slots=True)
class AudioTracks:
    """All audio tracks of a file."""

    best: int
    """Number of the best one, as libavformat ranks them."""
    tracks: tuple[Track, ...]


def list_tracks(container: "InputContainer") -> tuple[Track, ...]:
    """List the audio tracks of a container in order."""
    return tuple(_describe(number, stream) for number, stream in enumerate(container.streams.audio, start=1))


def _describe(number: int, stream: "AudioStream") -> Track:
    from av.stream import Disposition

    language = (stream.metadata.get("language") or "").strip()
    title = " ".join(
        (stream.metadata.get("title") or stream.metadata.get("handler_name") or "").replace("\0", " ").split()
    )
    roles = [text for name, text in _ROLES.items() if stream.disposition & Disposition[name]]
    codec = stream.codec_context
    return Track(
        number=number,
        language=language if language and language != "und" else None,
        title=title[:80] if title and title not in _GENERIC_TITLES else None,
        role=roles[0] if roles else None,
        can_be_decoded=bool(codec is not None and codec.sample_rate and codec.channels),
    )
