"""Audio of what is reviewed, straight from the store."""

from dataclasses import dataclass

from sqlalchemy import Engine

from podcast_assets.store.store import Store


@dataclass(frozen=True)
class Audio:
    """An audio file in the store that can be read in parts."""

    size: int
    """Bytes."""
    media_type: str
    """`audio/flac`, `audio/ogg` and so on."""
    etag: str
    offset: float = 0.0
    """Second of the episode's clock at which the file begins: 0 for an episode, the segment's start for a member of a shard."""

    def read(self, start: int, end: int) -> bytes:
        """Read bytes from `start` to before `end`.

        Raises:
            OSError: the store cannot be read.
        """
        raise NotImplementedError


def open_audio(engine: Engine, store: Store, batch: str, episode_id: str, segment_id: str | None = None) -> Audio:
    """Find the audio of an episode: its working audio; where that is gone, and a segment is given, the shard's member.

    Names of files come from the catalog and never from a request.

    Raises:
        ItemGone: the episode or its audio is not there.
    """
    raise NotImplementedError
