"""Metadata of a whole batch, read in a subprocess with limits: a file that crashes or fills its reader costs its own rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podcast_assets.common.errors import BadInput
from podcast_assets.common.limited_calls import Limit, Unreadable
from podcast_assets.intake.metadata import JoinedMetadata, MetadataFile, NotMetadata, join_metadata, open_metadata
from podcast_assets.intake.table_reader import seconds_to_read, table_reader

MOST_CRASHES = 5
"""Number of files of a batch that may stop their reader, after which no others are read."""


@dataclass(frozen=True)
class MetadataSource:
    """A file that may be metadata."""

    name: str
    """Name of the file in the batch."""
    path: Path
    """Where its content lies."""


@dataclass
class BatchMetadata:
    """What the metadata files of a batch give."""

    joined: JoinedMetadata
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Name of a file and why it is not metadata; several files may have the same name."""
    broken: list[tuple[str, str]] = field(default_factory=list)
    """Name of a file and why it cannot be read."""


def read_metadata(sources: Sequence[str], files: Sequence[MetadataSource], key: str) -> BatchMetadata:
    """Read metadata files and join them to recordings, see `join_metadata`.

    Args:
        sources: names of the recordings.
        files: the files; of several with the same name the first that can be read counts.
        key: column with the ids.

    Raises:
        ProcessLost: the process that reads them was killed from outside.
    """
    if not files:
        return BatchMetadata(join_metadata(sources, ()))
    seconds = seconds_to_read(max(file.path.stat().st_size for file in files))
    refused: dict[str, str] = {}
    while True:
        at: list[int] = []
        try:
            return table_reader.call(
                Limit(_NAME, seconds, at.append),
                read_metadata_here,
                list(sources),
                [(file.name, str(file.path)) for file in files],
                key,
                refused,
            )
        except Unreadable as error:
            if not at:
                raise
            refused[str(at[-1])] = str(error).replace(_NAME, f"metadata {files[at[-1]].name}")
        if len(refused) >= MOST_CRASHES:
            why = f"not read: {MOST_CRASHES} other metadata files of the batch stopped their reader"
            refused |= {str(n): why for n in range(len(files)) if str(n) not in refused}


_NAME = "the metadata file"


def read_metadata_here(
    sources: list[str],
    files: list[tuple[str, str]],
    key: str,
    refused: dict[str, str],
    progress: Callable[[Any], None] = lambda at: None,
) -> BatchMetadata:
    """Read metadata files in this process.

    Args:
        sources: names of the recordings.
        files: name and path of each file.
        key: column with the ids.
        refused: number of a file as text → why it must not be read.
        progress: called with the number of the file that is read next.
    """
    skipped, broken = list[tuple[str, str]](), list[tuple[str, str]]()
    opened: dict[str, MetadataFile] = {}
    numbers: dict[str, int] = {}
    for number, (name, path) in enumerate(files):
        if name in opened:
            skipped.append((name, "another file of the same name was taken already"))
            continue
        if why := refused.get(str(number)):
            broken.append((name, why))
            continue
        progress(number)
        try:
            opened[name] = open_metadata(name, Path(path), key)
            numbers[name] = number
        except NotMetadata as error:
            skipped.append((name, str(error)))
        except BadInput as error:
            broken.append((name, str(error)))
    joined = join_metadata(sources, list(opened.values()), lambda file: progress(numbers[file.name]))
    return BatchMetadata(joined, skipped, broken)
