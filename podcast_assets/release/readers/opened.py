"""Access to a published dataset in a folder, in a bucket, or on the Hub. Nothing is downloaded but what is read."""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, cast

import polars as pl

from podcast_assets.common.errors import Misconfigured
from podcast_assets.release.published import LIST, PublishedShard, parse_shard_list
from podcast_assets.store.store import Store

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
        """Open a file as a stream.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def seekable(self, path: str) -> BinaryIO:
        """Open a seekable file.

        Raises:
            FileNotFoundError: there is none.
        """
        ...


def open_dataset(where: str) -> PublishedDataset:
    """Open the dataset in a folder, at s3://…, or in a repository `owner/name[@revision]` of the Hub (HF_ENDPOINT).

    Raises:
        Misconfigured: it is none of these, or cannot be had.
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

    def __init__(self, place: Store) -> None:
        self._place = place

    @property
    def where(self) -> str:
        """Path or URL of the dataset."""
        return str(self._place.root)

    def files(self) -> Mapping[str, int]:
        """List the files."""
        return {entry.key: entry.bytes for entry in self._place.list("")}

    def open(self, path: str) -> BinaryIO:
        """Open a file as a stream."""
        return self._place.open(path)

    def seekable(self, path: str) -> BinaryIO:
        """Open a seekable file."""
        return self._place.open(path)


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
        """List the files."""
        with _translate_errors(self.repo):
            found = cast("dict[str, dict[str, Any]]", self._system.find(self._root, detail=True))
        return {path.removeprefix(f"{self._root}/"): int(about["size"]) for path, about in found.items()}

    def open(self, path: str) -> BinaryIO:
        """Stream a file with one request."""
        return self._open_file(path, 0)

    def seekable(self, path: str) -> BinaryIO:
        """Open a file that is read by ranges."""
        return self._open_file(path, 1 << 18)

    def _open_file(self, path: str, block: int) -> BinaryIO:
        with _translate_errors(self.repo):
            file = self._system.open(f"{self._root}/{path}", "rb", block_size=block)
        return cast("BinaryIO", _Remote(file, self.repo))


class _Remote:
    """A file on the Hub whose read errors are translated to one line."""

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
    """Translate errors of the Hub's client to one line."""
    from httpx2 import HTTPError
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        yield
    except FileNotFoundError:
        raise
    except (HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise Misconfigured(f"the dataset {repo} cannot be read from {constants.ENDPOINT}: {why}") from error


def read_shard_list(dataset: PublishedDataset) -> list[PublishedShard]:
    """Read the shards of a dataset's `shards.jsonl`.

    Raises:
        Misconfigured: there is no such list: it is no dataset of this kind.
        DamagedList: it cannot be read.
    """
    try:
        with dataset.open(LIST) as f:
            return parse_shard_list(f.read())
    except FileNotFoundError:
        raise Misconfigured(f"{dataset.where} has no {LIST}: it is not a dataset that was published here") from None


_NO_ROWS = pl.DataFrame(schema={"shard": pl.String})


class SampleIndex:
    """Index of sample positions, from a dataset's tables. A few tables are held at a time, and only the needed columns."""

    def __init__(self, dataset: PublishedDataset, tables: Sequence[str]) -> None:
        self._dataset = dataset
        self._tables: dict[str, list[str]] = {}
        self._cached = functools.lru_cache(maxsize=8)(self._read_table)
        self.unreadable: dict[str, str] = {}
        """Table → why it cannot be read, of those that were asked for so far."""
        for path in sorted(tables):
            for shard in self._read_or_note(path, ("shard",), self._read_table)["shard"].drop_nulls().unique():
                self._tables.setdefault(shard, []).append(path)

    @property
    def shards(self) -> Mapping[str, Sequence[str]]:
        """Map shards to the tables that refer to them."""
        return self._tables

    def rows(self, shard: str, columns: Sequence[str]) -> pl.DataFrame:
        """Rows of the samples of a shard; columns that a table lacks are omitted."""
        found = [
            self._read_or_note(path, ("shard", *columns), self._cached).filter(pl.col("shard") == shard)
            for path in self._tables.get(shard, ())
        ]
        return pl.concat(found, how="diagonal_relaxed") if found else _NO_ROWS

    def _read_or_note(
        self, path: str, columns: tuple[str, ...], read: Callable[[str, tuple[str, ...]], pl.DataFrame]
    ) -> pl.DataFrame:
        """What a table says; nothing where it cannot be read, which is noted."""
        try:
            return read(path, columns)
        except (OSError, ValueError) as error:
            self.unreadable[path] = next(iter(str(error).splitlines()), type(error).__name__)
            return _NO_ROWS

    def _read_table(self, path: str, columns: tuple[str, ...]) -> pl.DataFrame:
        import pyarrow.parquet as pq

        with self._dataset.seekable(path) as f:
            table = pq.ParquetFile(f)
            wanted = [c for c in columns if c in table.schema_arrow.names]
            if "shard" not in wanted:
                return _NO_ROWS
            return cast("pl.DataFrame", pl.from_arrow(table.read(columns=wanted)))
