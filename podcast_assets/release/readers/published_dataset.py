"""Access to a published dataset in a folder, in a bucket, or on the Hub. Only what is read is downloaded."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, cast

from podcast_assets.common.errors import Misconfigured, first_line
from podcast_assets.common.redaction import redact_url
from podcast_assets.release.published import LIST, MAX_LIST_BYTES, PublishedShard, parse_shard_list
from podcast_assets.store.store import BLOCK, Store

_HUB = re.compile(r"(?:hf://datasets/)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


class PublishedDataset(Protocol):
    """A published dataset at one moment."""

    @property
    def where(self) -> str:
        """Location of the dataset, for people."""
        ...

    def files(self) -> Mapping[str, int]:
        """Map each file's path to its size in bytes."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file for sequential reading.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...

    def seekable(self, path: str) -> BinaryIO:
        """Open a file for random access.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        ...


def open_dataset(where: str) -> PublishedDataset:
    """Open the dataset in a folder, at s3://…, or in a repository `owner/name[@revision]` on the Hub (HF_ENDPOINT).

    Raises:
        Misconfigured: `where` is none of these, or is not available.
    """
    if "://" in where and not where.startswith("hf://"):
        return StoredDataset(Store.at(where))
    if Path(where).is_dir():
        return StoredDataset(Store.at(Path(where)))
    if (match := _HUB.fullmatch(where)) and _may_be_repository(match["repo"]):
        return HubDataset(match["repo"], match["revision"])
    raise Misconfigured(f"{where} is neither a folder nor a dataset of the Hub (owner/name)")


def _may_be_repository(name: str) -> bool:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:  # a path that begins with ./ or ../
        return False
    return True


class StoredDataset:
    """A dataset in a folder or a bucket."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def where(self) -> str:
        """Path or URL of the dataset."""
        return str(self._store.root)

    def files(self) -> Mapping[str, int]:
        """Map each file's path to its size in bytes."""
        return {entry.key: entry.bytes for entry in self._store.list("")}

    def open(self, path: str) -> BinaryIO:
        """Open a file for sequential reading."""
        return self._store.open(path)

    def seekable(self, path: str) -> BinaryIO:
        """Open a file for random access."""
        return self._store.open(path)


class HubDataset:
    """A dataset on the Hub at one commit, unaffected by later releases."""

    def __init__(self, repo: str, revision: str | None = None) -> None:
        with _translate_errors(repo):
            from huggingface_hub import HfApi, HfFileSystem

            self.repo, self.commit = repo, HfApi().dataset_info(repo, revision=revision).sha
            self._root = f"datasets/{repo}@{self.commit}"
            self._system = HfFileSystem()

    @property
    def where(self) -> str:
        """Repository and commit of the dataset."""
        return f"{self.repo}@{str(self.commit)[:12]}"

    def files(self) -> Mapping[str, int]:
        """Map each file's path to its size in bytes."""
        with _translate_errors(self.repo):
            found = cast("dict[str, dict[str, Any]]", self._system.find(self._root, detail=True))
        return {path.removeprefix(f"{self._root}/"): int(entry["size"]) for path, entry in found.items()}

    def open(self, path: str) -> BinaryIO:
        """Open a file for sequential reading, with one request."""
        return self._open_file(path, 0)

    def seekable(self, path: str) -> BinaryIO:
        """Open a file for random access, with a request per range."""
        return self._open_file(path, 1 << 18)

    def _open_file(self, path: str, block: int) -> BinaryIO:
        with _translate_errors(self.repo):
            file = self._system.open(f"{self._root}/{path}", "rb", block_size=block)
        return cast("BinaryIO", _HubFile(file, self.repo))


class _HubFile:
    """A file on the Hub whose read errors are translated to one-line messages."""

    def __init__(self, file: Any, repo: str) -> None:
        self._file, self._repo = file, repo

    def read(self, size: int = -1) -> bytes:
        with _translate_errors(self._repo):
            return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@contextlib.contextmanager
def _translate_errors(repo: str) -> Iterator[None]:
    """Translate errors of the Hub's client to one-line messages."""
    from httpx2 import HTTPError
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except FileNotFoundError:
        raise
    except (HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        why = first_line(error)
        raise Misconfigured(
            f"the dataset {repo} cannot be read from {redact_url(constants.ENDPOINT)}: {why}"
        ) from error


def read_shard_list(dataset: PublishedDataset) -> list[PublishedShard]:
    """Read the list of shards, `shards.jsonl`, of a dataset.

    Raises:
        Misconfigured: the dataset has no list of shards.
        DamagedList: the list is not valid.
    """
    try:
        with dataset.open(LIST) as f:
            data = bytearray()
            while len(data) <= MAX_LIST_BYTES and (block := f.read(BLOCK)):
                data += block
        return parse_shard_list(bytes(data))
    except FileNotFoundError:
        raise Misconfigured(f"{dataset.where} has no {LIST}: it was not published by podcast-assets") from None
