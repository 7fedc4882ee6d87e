"""Names of batches and episodes: safe in paths, in shard keys and in Dagster's partition ranges."""

import re
import unicodedata
from pathlib import PurePosixPath

from podcast_assets.common.errors import BadInput

BATCH_NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{0,62}")
"""Batch names are Dagster partition keys: commas break backfills in the UI, `...` separates ranges, slashes break paths."""


def check_batch_name(name: str) -> None:
    """Check a batch name.

    Raises:
        BadInput: the name is invalid.
    """
    if not BATCH_NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is not a valid batch name: use lower-case letters, digits, '.', '_' and '-', at most 63, no '..'"
        )


def slug(text: str, *, length: int = 48) -> str:
    """Convert text to lower-case ASCII letters, digits and single hyphens; "x" if nothing is left, as for other scripts."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:length].rstrip("-") or "x"


def batch_name(text: str) -> str:
    """Batch name for the name of a file or folder: the name itself if it is valid, else its slug."""
    return text if BATCH_NAME.fullmatch(text) else slug(text)


def normalize(text: str) -> str:
    """Normalize text to NFC: macOS writes names in NFD, where an accent is a character of its own, and people type NFC."""
    return unicodedata.normalize("NFC", text)


def is_hidden(name: str) -> bool:
    """Whether the name of a file or of one of its folders starts with a dot."""
    return any(part.startswith(".") for part in name.split("/"))


def safe_member_name(name: str) -> str | None:
    """Normalize the name of an archive member to forward slashes; None if it leads out of its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or not path.parts or "\0" in name:
        return None
    return "/".join(path.parts).encode("utf-8", "replace").decode()
