"""Probing a media file without decoding it."""

from podcast_assets.audio.headers import Probe
from podcast_assets.audio.reader import open_audio
from podcast_assets.audio.source import Source

__all__ = ["Probe", "probe"]


def probe(source: Source) -> Probe:
    """Read the headers of a media file.

    Raises:
        NotAudio: it cannot be opened as media.
        NoAudioTrack: it has no audio track.
        TruncatedAudio: its index at the end is missing.
        EmptyAudio: it has no bytes.
        OSError: the path cannot be opened.
    """
    with open_audio(source) as reader:
        return reader.probe
