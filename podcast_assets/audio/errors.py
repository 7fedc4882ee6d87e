"""What can be wrong with an audio file.

Every message is one line for a person, without the file's name: the caller knows it.
"""

from podcast_assets.common.errors import BadInput


class AudioError(BadInput):
    """An audio file cannot be used. To try again with the same bytes does not help."""


class NotAudio(AudioError):
    """The bytes are not a media file that can be opened."""


class NoAudioTrack(AudioError):
    """A media file without an audio track, such as a silent video."""


class EmptyAudio(AudioError):
    """There is not one sample of audio."""


class TruncatedAudio(AudioError):
    """The audio ends before it should: a download or a recording that was cut off."""


class CorruptAudio(AudioError):
    """Too much of the audio cannot be decoded."""


class TooLong(AudioError):
    """The audio goes on for longer than is allowed."""
