"""Integrity check of fastText model files, which the library (fasttext-predict 0.9.2.4) does not do.

Given a file that ends inside its words, the library reads until memory is full; one that lacks only its last bytes is loaded with
invalid weights. There is no size or hash to compare with, because users may choose any model, and the format has no end mark.

The layout is that of `FastText::loadModel`, `Dictionary::load`, `QuantMatrix::load` and `ProductQuantizer::load` in its source.
"""

import mmap
import struct
from pathlib import Path

_MAGIC = 793712314
_CENTROIDS = 256


def find_defect(path: Path) -> str | None:
    """Describe what is wrong with a model file; None if it is complete. Skips over its words and reads no weights."""
    with path.open("rb") as file:
        if file.read(4) != struct.pack("<i", _MAGIC):
            return "this is not a fastText model (.bin or .ftz)"
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                end = _Cursor(content).end()
            except (struct.error, ValueError):
                end = None
            if end is None or end > len(content):
                return f"the file is cut off: it has {len(content):,} bytes, and its model is longer; fetch it again"
    return None


class _Cursor:
    """Position in a model file that advances part by part."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def end(self) -> int:
        """Return where the model ends according to its own header.

        Raises:
            struct.error: the file ends inside its header.
            ValueError: the file ends inside its words.
        """
        self._read_fields("<2i12id")  # magic, version, arguments
        words, _, _, _, pruned = self._read_fields("<3i2q")
        for _ in range(words):
            if (after := self._content.find(b"\0", self._at)) < 0:
                raise ValueError("the file ends inside a word")
            self._at = after + 1 + struct.calcsize("<qb")
        self._at += 8 * max(0, pruned)
        for _ in range(2):
            quantized = self._read_fields("<?")[0]
            self._skip_quantized() if quantized else self._skip_matrix()
        return self._at

    def _skip_matrix(self) -> None:
        rows, columns = self._read_fields("<2q")
        self._at += 4 * rows * columns

    def _skip_quantized(self) -> None:
        with_norms, rows, _, codes = self._read_fields("<?2qi")
        self._at += codes
        self._skip_quantizer()
        if with_norms:
            self._at += rows
            self._skip_quantizer()

    def _skip_quantizer(self) -> None:
        dimensions, *_ = self._read_fields("<4i")
        self._at += 4 * dimensions * _CENTROIDS

    def _read_fields(self, form: str) -> tuple[int, ...]:
        found = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return found
