"""Whether a file is audio or video by its first bytes, where its name does not say so."""

import tempfile
from pathlib import Path

from podcast_assets.audio.errors import AudioError, EmptyAudio, NoAudioTrack, NotAudio
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.intake.downloads.sniffing import describe_non_media

HEAD = 1 << 20
"""Number of leading bytes to inspect."""
_ID3 = b"ID3"
_PROBE_SECONDS = 30.0


def describe_other_content(head: bytes) -> str | None:
    """Describe what a file is instead of audio or video; None if libavformat finds an audio track, or one may follow.

    The bytes are probed in the decoding process, because damaged files can crash demuxers.

    Args:
        head: the first `HEAD` bytes, or fewer if the file is shorter.
    """
    from podcast_assets.audio.decode_process import DecoderFailed, DecoderLost, DecoderStuck, probe_in_subprocess

    if not head:
        return "empty (0 bytes)"
    if what := describe_non_media(head, None):
        return what
    if head.startswith(_ID3) and len(head) == HEAD:
        return None  # a tag with a large picture: the audio comes after it
    with tempfile.NamedTemporaryFile(prefix=SCRATCH_PREFIX) as file:
        file.write(head)
        file.flush()
        try:
            probe_in_subprocess(Path(file.name), stall=_PROBE_SECONDS)
        except (NotAudio, NoAudioTrack, EmptyAudio) as error:
            return f"it {error}"
        except AudioError:
            return None  # audio, but damaged: ingest says how
        except (DecoderStuck, DecoderLost, DecoderFailed) as error:
            return f"it could not be examined: {error}"
    return None
