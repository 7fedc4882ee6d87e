"""Lhotse cuts from shards. This file depends on Lhotse only, so that it may be copied into other projects.

`CutSet.from_webdataset` cannot be used, because it expects pickled cuts.
"""

# if Lhotse is not installed, pyright resolves `lhotse` to this file:
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportInvalidTypeForm=false

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lhotse import CutSet, MonoCut


def lazy_cuts(shards: Iterable[str | Path]) -> "CutSet":
    """Iterate lazily over the cuts of shards, one per sample, in order.

    A cut holds its encoded audio, its text, words (as the alignment `word`), speaker and language; all other keys of the
    sample's JSON are custom fields. Times of words are relative to the cut.

    Args:
        shards: paths of tars on this machine. Give each worker of a data loader its own shards.

    Raises:
        ValueError: while iterating, if an audio member does not follow its JSON.
    """
    from lhotse import CutSet

    return CutSet(_Samples([str(s) for s in shards]))


class _Samples:
    """Samples of shards, as an iterable that can be restarted."""

    def __init__(self, shards: list[str]) -> None:
        self.shards = shards

    def __iter__(self) -> Iterator["MonoCut"]:
        for shard in self.shards:
            with tarfile.open(shard, mode="r|") as tar:
                metadata: dict[str, Any] = {}
                for member in tar:
                    data = tar.extractfile(member)
                    content = data.read() if data else b""
                    if member.name.endswith(".json"):
                        metadata = json.loads(content)
                    elif member.name.startswith(f"{metadata.get('id')}."):
                        yield cut_of(metadata, content)
                    else:
                        raise ValueError(f"{shard}: {member.name} does not follow its JSON")


def cut_of(metadata: dict[str, Any], audio: bytes) -> "MonoCut":
    """Convert a sample to a cut.

    Args:
        metadata: JSON of the sample.
        audio: encoded audio of the sample.
    """
    import soundfile
    from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment
    from lhotse.supervision import AlignmentItem

    # libsndfile reads all formats of the shards, even if Lhotse's own backends are not installed
    info = soundfile.info(io.BytesIO(audio))
    source = AudioSource(type="memory", channels=list(range(info.channels)), source=audio)
    recording = Recording(metadata["id"], [source], int(info.samplerate), info.frames, info.frames / info.samplerate)
    words = [
        AlignmentItem(
            w["word"], round(w["start"] - metadata["start"], 6), round(w["end"] - w["start"], 6), w["probability"]
        )
        for w in metadata["words"] or ()
        if w["start"] is not None and w["end"] is not None
    ]
    supervision = SupervisionSegment(
        id=metadata["id"],
        recording_id=metadata["id"],
        start=0.0,
        duration=recording.duration,
        text=metadata["text"],
        language=metadata["language"],
        speaker=metadata["speaker"],
        alignment={"word": words} if words else None,
    )
    cut = MonoCut(metadata["id"], 0.0, recording.duration, 0, recording=recording, supervisions=[supervision])
    cut.custom = {
        k: v for k, v in metadata.items() if k not in ("id", "text", "language", "speaker", "duration", "start", "end")
    }
    cut.custom |= {"episode_start": metadata["start"], "episode_end": metadata["end"]}
    return cut
