"""The demonstration: a sample batch of five episodes, and what is really said in them.

Everything here is synthetic and made by `tools/sample_batch`; README.md describes it.
"""

import io
import json
import tarfile
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

_HERE = Path(__file__).parent
BATCH_NAME = "sample"
BATCH = _HERE / "batch"
"""Five episodes (mp3, m4a, mp4, opus, and a truncated mp3) and `metadata.parquet`, as a batch arrives."""
REFERENCES = _HERE / "references"
"""`<stem>.rttm` and `<stem>.json` of each episode."""


class ReferenceTurn(TypedDict):
    """What one speaker says at a stretch. Times in seconds from the start of the episode."""

    speaker: str
    start: float
    end: float
    text: str
    words: list[list[Any]]
    """[word, start, end]"""


def load_reference(stem: str) -> list[ReferenceTurn]:
    """The turns of the episode whose file has this stem; of the whole episode, where the file is truncated.

    Raises:
        FileNotFoundError: there is no such episode.
    """
    return json.loads((REFERENCES / f"{stem}.json").read_text())["turns"]


def write_sample_archive(file: BinaryIO, folder: Path = BATCH) -> None:
    """Pack the sample batch, or a folder of that form, into a tar archive; the same bytes every time."""
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member in sorted(folder.iterdir()):
            data = member.read_bytes()
            entry = tarfile.TarInfo(member.name)
            entry.size, entry.mode = len(data), 0o644  # a TarInfo's mtime, uid and gid are 0
            archive.addfile(entry, io.BytesIO(data))
