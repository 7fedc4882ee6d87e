"""Models of the Hugging Face hub by name, and where their files lie on this machine: the layout of a cache of `huggingface_hub`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from podcast_assets.engines import model_lock


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub that an engine needs."""

    repo: str
    """`owner/name`."""
    files: tuple[str, ...]
    """Patterns of the files that are needed, as of a shell. One with a `*`, `?` or `[` may match nothing: `vocabulary.*`."""
    megabytes: int
    """About how much is downloaded."""
    licence: str
    revision: str | None = None
    """Commit that is taken; None takes the newest at the first fetch, whose commit is then written down and kept."""
    gated: bool = False
    """Terms must be accepted on the model's page, and a token given."""

    @property
    def lock_key(self) -> str:
        """Its name in the lock file."""
        return model_lock.lock_key(self.repo, self.revision)


def models_folder() -> Path:
    """Folder of the downloaded models: PODCAST_MODELS, else one in the user's cache."""
    if named := os.environ.get("PODCAST_MODELS"):
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")  # as the XDG Base Directory Specification has it: absolute, or not meant
    return (Path(cache) if cache and Path(cache).is_absolute() else Path.home() / ".cache") / "podcast-assets/models"


def matches_patterns(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file name matches any of the patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def model_folder(place: Path, repo: str) -> Path:
    """Folder of a model inside a cache of `huggingface_hub`."""
    return place / f"models--{repo.replace('/', '--')}"


def snapshot_folder(place: Path, repo: str, commit: str) -> Path:
    """Folder of one commit of a model inside a cache of `huggingface_hub`."""
    return model_folder(place, repo) / "snapshots" / commit
