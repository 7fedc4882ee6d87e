"""Names of batches and episodes: safe in paths, in shard keys and in Dagster's partition ranges."""

import re
import unicodedata
from pathlib import PurePosixPath

BATCH_NAME = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{0,62}")
"""A batch is a Dagster partition key: commas break backfills from the UI, `...` separates ranges, slashes break paths."""


def slug(text: str, *, length: int = 48) -> str:
    """Lower-case ASCII letters, digits and single hyphens; "x" where nothing is left (as of a name in another script)."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:length].rstrip("-") or "x"


def batch_name(text: str) -> str:
    """A batch's name from a file's or folder's name: unchanged where it is fit for one, else its slug."""
    return text if BATCH_NAME.fullmatch(text) else slug(text)


def episode_id(source: str, sha256: str) -> str:
    """Id of an episode that came as a file: stable for the same bytes under the same name, without dots and slashes."""
    return f"{slug(PurePosixPath(source).stem)}-{sha256[:12]}"


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder that it is in, has a name that starts with a dot."""
    return any(part.startswith(".") for part in name.split("/"))


def safe_member_name(name: str) -> str | None:
    """The name of a file in a batch with forward slashes, or None where it would lead out of its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name) or not path.parts or "\0" in name:
        return None
    return "/".join(path.parts).encode("utf-8", "replace").decode()
