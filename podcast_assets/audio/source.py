"""Audio sources: paths, bytes and binary files."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

Source = Path | str | bytes | BinaryIO
"""A path, the bytes of a file, or a seekable binary file. A string is always a path, never a URL."""


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """Open a source as a binary file at its beginning. Paths are closed afterwards; given files stay open.

    Raises:
        OSError: the path cannot be opened.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, (str, Path)):
        with Path(source).open("rb") as file:
            yield file
    else:
        source.seek(0)
        yield source


@contextmanager
def restore_position(file: BinaryIO) -> Iterator[None]:
    """Restore a file's position afterwards, so that another reader can continue."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)
