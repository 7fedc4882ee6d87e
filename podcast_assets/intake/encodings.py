"""Text files that people give, in any encoding.

chardet finds an encoding that nothing declares: on one or two lines of text it is right more often than charset-normalizer.
"""

import codecs
import io
import re
import tempfile
from pathlib import Path
from typing import IO, Any

from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.store.store import BLOCK

_HEAD = 8_192
"""Bytes that show a byte order mark, or UTF-16 without one."""
_EXAMPLES = 20_000
"""Bytes of lines with letters outside ASCII that are enough to find the encoding."""
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order mark → encoding. That of UTF-32 begins with that of UTF-16, and comes first."""
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257", "mac-roman")
_NEARLY = 0.8
"""Share of the best confidence with which Windows-1252 is taken: a few letters fit several encodings, and it is the usual one."""
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
"""Word with a byte outside ASCII."""
_MOSTLY_ASCII = 0.6
"""Share of bytes outside ASCII in the words that have any. Words of Latin scripts are below it, those of other scripts are not."""


def to_utf8(data: bytes | Path, *, guess: bool = True) -> tuple[bytes | Path, Any]:
    """Convert text to UTF-8 where it is in another encoding.

    Args:
        data: the text, or a path to it.
        guess: whether to find an encoding that nothing declares. Without it, only byte order marks and UTF-16 are recognized.

    Returns:
        The same data, or the converted text; and an object that must live as long as they are used.

    Raises:
        ValueError: the encoding is unknown, or the text is damaged.
    """
    encoding = _encoding(data, guess=guess)
    if encoding in ("utf-8", "utf-8-sig"):
        return data, None
    with open_bytes(data) as raw, io.TextIOWrapper(raw, encoding, newline="") as text, Copy(data) as copy:
        while block := text.read(BLOCK):
            copy.file.write(block.removeprefix("\ufeff").encode("utf-8", "replace"))
        return copy.result()


def decode_text(data: bytes) -> str:
    """Decode text in any encoding; what is damaged is replaced."""
    try:
        encoding = _encoding(data, guess=True)
    except ValueError:
        encoding = "utf-8"
    return data.decode(encoding, "replace").removeprefix("\ufeff")


def _encoding(data: bytes | Path, *, guess: bool) -> str:
    with open_bytes(data) as raw:
        head = raw.read(_HEAD)
        if marked := next((encoding for mark, encoding in _BOMS.items() if head.startswith(mark)), None):
            return marked
        if unmarked := _unmarked_utf16(head):
            return unmarked
        raw.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        block = b""
        try:
            while block := raw.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            if not guess:
                return "utf-8"
            return _guess_encoding(block)
    return "utf-8"


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark: ASCII characters have a zero byte beside them."""
    first = head.partition(b"\n")[0][:400]
    low, high = first[0::2].count(0), first[1::2].count(0)
    enough = len(first) // 4
    if enough and high > enough and not low:
        return "utf-16-le"
    return "utf-16-be" if enough and low > enough and not high else None


def count_outside_ascii(text: bytes) -> tuple[int, int]:
    """Return how many bytes are outside ASCII, and how many the words have in all that contain them."""
    words = _WORD.findall(text)
    return sum(byte > 0x7F for word in words for byte in word), sum(map(len, words))


def _guess_encoding(block: bytes) -> str:
    """Find the encoding of text that is not UTF-8.

    Raises:
        ValueError: it is UTF-8 with damage.
    """
    import chardet

    lines = [line for line in block.splitlines() if not line.isascii()]
    text = b"\n".join(lines)[:_EXAMPLES]
    decoded = text.decode("utf-8", "replace")
    broken = decoded.count("\ufffd")
    if 2 * broken <= sum(c > "\x7f" for c in decoded):
        raise ValueError("it is UTF-8 with damaged characters")
    outside, letters = count_outside_ascii(text)
    if outside >= _MOSTLY_ASCII * letters:
        return chardet.detect(text, encoding_era=chardet.EncodingEra.MODERN_WEB)["encoding"] or "cp1252"
    found = {
        codecs.lookup(match["encoding"]).name: match["confidence"]
        for match in chardet.detect_all(text, ignore_threshold=True, include_encodings=_LATIN)
        if match["encoding"]
    }
    best = max(found, key=lambda encoding: found[encoding], default="cp1252")
    return "cp1252" if found.get("cp1252", 0.0) >= _NEARLY * found.get(best, 0.0) else best


class Copy:
    """A converted copy: in memory where the original is, else in a temporary file that goes with the object that is returned."""

    def __init__(self, original: bytes | Path) -> None:
        in_memory = isinstance(original, bytes)
        self.file: IO[bytes] = io.BytesIO() if in_memory else tempfile.NamedTemporaryFile(prefix=SCRATCH_PREFIX)  # noqa: SIM115

    def __enter__(self) -> "Copy":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.file.close()

    def result(self) -> tuple[bytes | Path, Any]:
        """The content or its path, and the object that keeps it."""
        if isinstance(self.file, io.BytesIO):
            return self.file.getvalue(), None
        self.file.flush()
        return Path(self.file.name), self.file


def open_bytes(data: bytes | Path) -> IO[bytes]:
    """Open a file, or its content."""
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
