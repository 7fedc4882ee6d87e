"""Text of strangers for terminals and logs: what would move the cursor, split a line or reorder text is shown as an escape."""

import re
import unicodedata

_KEPT_FORMATS = (
    "\u200c\u200d"  # joiners, which Persian and emoji need
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # signs that enclose numbers or precede a word
)
_UNSAFE = re.compile(
    "(?![" + _KEPT_FORMATS + "])["
    "\x00-\x1f\x7f-\x9f"  # controls, ESC and the one-byte CSI among them
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # line ends, directions, invisible marks
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # invisible marks and tags beyond the first plane
    "\ud800-\udfff"  # bytes of names that are not UTF-8, which cannot be printed
    "]"
)


def printable(text: str, *, keep_newlines: bool = False) -> str:
    r"""Return text that stays on its line and looks like what it is; unsafe characters become escapes as in Python.

    Args:
        text: any text.
        keep_newlines: whether line feeds are kept, and tabs with them.

    >>> printable("a\x1b[2Jb\nc\u202ed")
    'a\\x1b[2Jb\\nc\\u202ed'
    """
    if keep_newlines:
        return _UNSAFE.sub(lambda m: m[0] if m[0] in "\n\t" else _escape(m[0]), text)
    return _UNSAFE.sub(lambda m: _escape(m[0]), text)


def printable_json(text: str) -> str:
    r"""Return JSON text with unsafe characters in its strings as `\uXXXX`: the same value, and safe on a terminal."""
    return _UNSAFE.sub(lambda m: m[0] if m[0] in "\n\t" else _json_escape(m[0]), text)


def _escape(character: str) -> str:
    if unicodedata.category(character) == "Cs":
        return f"\\u{ord(character):04x}"
    return character.encode("unicode_escape").decode("ascii")


def _json_escape(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
