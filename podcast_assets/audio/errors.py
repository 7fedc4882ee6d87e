"""Errors of audio files.

Every message is one line without the file's name, which the caller adds.
"""

from podcast_assets.common.errors import BadInput


class AudioError(BadInput):
    """The audio file cannot be used. Retrying with the same bytes does not help."""


class NotAudio(AudioError):
    """The bytes are not a media file that can be opened."""


class NoAudioTrack(AudioError):
    """The media file has no audio track, such as a silent video."""


class EmptyAudio(AudioError):
    """The file has no audio samples."""


class TruncatedAudio(AudioError):
    """The audio ends early: a download or recording was cut off."""


class CorruptAudio(AudioError):
    """Too much of the audio cannot be decoded."""


class TooLong(AudioError):
    """The audio is longer than allowed."""
