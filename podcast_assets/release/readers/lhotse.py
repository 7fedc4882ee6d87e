"""Lhotse cuts from shards. Needs Lhotse and nothing else of this package: the file may be copied.

`CutSet.from_webdataset` expects pickled cuts, which these shards do not hold.
"""

# where Lhotse is not installed, pyright takes this very file for it:
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

    A cut holds its audio as the bytes of its file, its text, words (as the alignment `word`), speaker and language, and
    everything else of the sample's JSON as custom fields. Times of words are relative to the cut.

    Args:
        shards: paths of tars on this machine. Give each worker of a data loader its own.
    """
    from lhotse import CutSet

    return CutSet(_Samples([str(s) for s in shards]))


class _Samples:
    """Re-iterable samples of shards."""

    def __init__(self, shards: list[str]) -> None:
        self.shards = shards

    def __iter__(self) -> Iterator["MonoCut"]:
        for shard in self.shards:
            with tarfile.open(shard, mode="r|") as tar:
                about: dict[str, Any] = {}
                for member in tar:
                    data = tar.extractfile(member)
                    content = data.read() if data else b""
                    if member.name.endswith(".json"):
                        about = json.loads(content)
                    elif member.name.startswith(f"{about.get('id')}."):
                        yield cut_of(about, content)
                    else:
                        raise ValueError(f"{shard}: {member.name} does not follow its JSON")


def cut_of(about: dict[str, Any], audio: bytes) -> "MonoCut":
    """Convert a sample to a cut.

    Args:
        about: its JSON.
        audio: the bytes of its audio file.
    """
    import soundfile
    from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment
    from lhotse.supervision import AlignmentItem

    # libsndfile tells what is in all of the shards' formats, wherever Lhotse's own backends are not at hand
    found = soundfile.info(io.BytesIO(audio))
    source = AudioSource(type="memory", channels=list(range(found.channels)), source=audio)
    recording = Recording(about["id"], [source], int(found.samplerate), found.frames, found.frames / found.samplerate)
    words = [
        AlignmentItem(
            w["word"], round(w["start"] - about["start"], 6), round(w["end"] - w["start"], 6), w["probability"]
        )
        for w in about["words"] or ()
        if w["start"] is not None and w["end"] is not None
    ]
    said = SupervisionSegment(
        id=about["id"],
        recording_id=about["id"],
        start=0.0,
        duration=recording.duration,
        text=about["text"],
        language=about["language"],
        speaker=about["speaker"],
        alignment={"word": words} if words else None,
    )
    cut = MonoCut(about["id"], 0.0, recording.duration, 0, recording=recording, supervisions=[said])
    cut.custom = {
        k: v for k, v in about.items() if k not in ("id", "text", "language", "speaker", "duration", "start", "end")
    }
    cut.custom |= {"episode_start": about["start"], "episode_end": about["end"]}
    return cut
