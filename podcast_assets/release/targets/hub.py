"""A dataset in a repository on the Hugging Face Hub, or on whatever HF_ENDPOINT names.

Shards are uploaded one by one, each gone from this machine before the next is made. Nobody sees them until one commit names all of
them, and it must follow the head that the release was planned from. One of many files is prepared in a pull request, and merged.
"""

import contextlib
import copy
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    hf_hub_download,
)
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars

from podcast_assets.common.errors import Misconfigured
from podcast_assets.release.targets.hub_calls import call_with_retries, hide_signatures, translate_errors
from podcast_assets.release.targets.hub_history import purge_history
from podcast_assets.release.targets.hub_pull import KIND, Operation, PlannedFiles, PullRequest, create_commit
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange, Stale, TargetFile
from podcast_assets.store.store import SCRATCH_PREFIX, Store

log = logging.getLogger(__name__)

COMMIT_FILES = 100
"""Files of a commit; the Hub gives up on larger ones."""
_MAIN = "main"
_TAG = re.compile(r"r(\d{4,})")


class HubTarget:
    """A dataset repository."""

    def __init__(
        self,
        repo: str,
        *,
        private: bool = True,
        gated: bool = False,
        endpoint: str | None = None,
        token: str | None = None,
        commit_files: int = COMMIT_FILES,
    ) -> None:
        """A repository that need not be there yet.

        Args:
            repo: owner/name.
            private: whether it is made private.
            gated: whether readers must ask for access.
            endpoint: None for HF_ENDPOINT, else the Hub itself.
            token: None for HF_TOKEN, or that of `hf auth login`.
            commit_files: above which a release goes by way of a pull request.
        """
        disable_progress_bars()
        hide_signatures()
        self.api = HfApi(
            endpoint=endpoint, token=token, library_name="podcast-assets", library_version=version("podcast-assets")
        )
        self.name, self.private, self.gated, self.commit_files = repo, private, gated, commit_files
        self.uploaded: dict[str, CommitOperationAdd] = {}
        """By SHA-256 what this process has brought, so that another try does not make it again. The client commits an operation
        once: each try gets a copy."""

    @property
    def repo(self) -> str | None:
        """owner/name."""
        return self.name

    @property
    def where(self) -> str:
        """URL of the repository."""
        return f"{self.api.endpoint}/datasets/{self.name}"

    def head(self) -> PublishedHead:
        """The newest commit with its files and their hashes."""
        revision = self.newest()
        return PublishedHead() if revision is None else PublishedHead(revision, self.files(revision))

    def user(self) -> str:
        """Who publishes. Asked once: the Hub allows few such questions."""
        return call_with_retries(lambda: self.api.whoami(cache=True))["name"]

    def newest(self) -> str | None:
        """The newest commit; None where there is no repository."""

        def look() -> str | None:
            try:
                return self.api.repo_info(self.name, repo_type=KIND, revision=_MAIN).sha
            except RepositoryNotFoundError as error:
                if error.response.status_code != 404:
                    raise
                return None

        return call_with_retries(look)

    def files(self, revision: str) -> dict[str, TargetFile]:
        """Path → what the Hub says of it."""

        def look() -> list[RepoFile]:
            tree = self.api.list_repo_tree(self.name, recursive=True, revision=revision, repo_type=KIND)
            return [entry for entry in tree if isinstance(entry, RepoFile)]

        return {e.path: TargetFile(e.size, e.lfs.sha256 if e.lfs else None, e.blob_id) for e in call_with_retries(look)}

    def history(self, head: PublishedHead) -> Iterator[PublishedHead]:
        """The commits before one."""
        if head.revision is None:
            return
        for commit in call_with_retries(
            lambda: self.api.list_repo_commits(self.name, repo_type=KIND, revision=head.revision)
        ):
            if commit.commit_id != head.revision:
                yield PublishedHead(commit.commit_id, self.files(commit.commit_id))

    def read(self, head: PublishedHead, path: str) -> bytes:
        """A file of a commit."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            where = call_with_retries(
                lambda: hf_hub_download(
                    self.name,
                    path,
                    repo_type=KIND,
                    revision=head.revision,
                    cache_dir=folder,
                    endpoint=self.api.endpoint,
                    token=self.api.token,
                )
            )
            return Path(where).read_bytes()

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        """A release that follows a head; the repository is made where there is none."""
        if head.revision is None:
            made = self._create_repository()
            head = PublishedHead(made, self.files(made))
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            yield _HubChange(self, head, Path(folder))

    def _create_repository(self) -> str:
        call_with_retries(lambda: self.api.create_repo(self.name, repo_type=KIND, private=self.private, exist_ok=True))
        if self.gated:
            call_with_retries(lambda: self.api.update_repo_settings(self.name, repo_type=KIND, gated="auto"))
        revision = self.newest()
        if revision is None:
            raise Misconfigured(f"{self.where} was made, and is not shown to us: does HF_TOKEN let its owner read it?")
        return revision

    def purge(self, store: Store, revision: str) -> str:
        """Delete what was taken down from all commits; the head is another one then."""
        with translate_errors():
            purged = purge_history(store, self.api, self.name)
        if purged.waiting:
            log.warning("%s: %d objects are still to go from its history: release again", self.where, purged.waiting)
        return (self.newest() or revision) if purged.removed else revision

    def tag(self, revision: str) -> str | None:
        """r0001, r0002, …: of a commit that has one, its own."""
        while True:
            refs = call_with_retries(lambda: self.api.list_repo_refs(self.name, repo_type=KIND))
            tags = {t.name: t.target_commit for t in refs.tags}
            numbers = {name: int(match[1]) for name in tags if (match := _TAG.fullmatch(name))}
            if own := [name for name in numbers if tags[name] == revision]:
                return min(own)
            name = f"r{max(numbers.values(), default=0) + 1:04d}"
            if self._create_tag(name, revision):
                return name

    def _create_tag(self, name: str, revision: str) -> bool:
        """Whether a tag was free; it may be our own, of a request whose answer was lost."""

        def make() -> bool:
            try:
                self.api.create_tag(self.name, tag=name, revision=revision, repo_type=KIND)
            except HfHubHTTPError as error:
                if error.response is None or error.response.status_code != HTTPStatus.CONFLICT:
                    raise
                return False
            return True

        return call_with_retries(make)


class _HubChange:
    """What is brought for one commit."""

    def __init__(self, target: HubTarget, head: PublishedHead, scratch: Path) -> None:
        self.target, self.head, self._scratch = target, head, scratch
        self.operations: list[Operation] = []
        self.taken: dict[str, str] = {}
        """Path → SHA-256 of files that lie in the pull request already."""
        self.request = PullRequest.open_on(target, str(head.revision))

    @property
    def scratch(self) -> Path:
        """A temporary folder, which the janitor knows by its name."""
        return self._scratch

    def has(self, path: str, sha256: str) -> int | None:
        """What lies in the pull request that this release began, or in the head, or was uploaded at an earlier try."""
        if self.request and (found := self.request.files.get(path)) and found.sha256 == sha256:
            self.taken[path] = sha256
            return found.size
        if (found := self.head.files.get(path)) and found.sha256 == sha256:
            return found.size
        operation = self.target.uploaded.get(sha256)
        if operation is None:
            return None
        again = copy.copy(operation)
        again.path_in_repo = path  # somebody else may have taken its number meanwhile
        self.operations.append(again)
        return again.upload_info.size

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Upload a file. The Hub takes no byte of what it has."""
        operation = CommitOperationAdd(path, str(file))
        operation.upload_info.sha256 = bytes.fromhex(sha256)  # one reading less
        call_with_retries(lambda: self.target.api.preupload_lfs_files(self.target.name, [operation], repo_type=KIND))
        if operation.path_or_fileobj == str(file):  # so small that it goes into the commit itself
            operation = CommitOperationAdd(path, file.read_bytes())
        else:
            self.target.uploaded[sha256] = copy.copy(operation)
        self.operations.append(operation)

    def add(self, path: str, data: bytes) -> None:
        """A small file, brought with the commit."""
        self.operations.append(CommitOperationAdd(path, data))

    def remove(self, path: str) -> None:
        """Delete a file in the commit."""
        self.operations.append(CommitOperationDelete(path, is_folder=False))

    def commit(self, message: str, sure: Callable[[], None]) -> str:
        """One commit; by way of a pull request where there are many files, or one was begun."""
        try:
            return self._commit_at_once(message, sure)
        except Stale as stale:
            if stale.forgotten:
                self.target.uploaded.clear()
            raise

    def _commit_at_once(self, message: str, sure: Callable[[], None]) -> str:
        target = self.target
        if len(self.operations) <= target.commit_files and self.request is None:
            sure()
            return create_commit(target, self.operations, message, str(self.head.revision), _MAIN)
        request = self.request or PullRequest.begun(target, str(self.head.revision))
        planned = PlannedFiles(self.head.files, {op.path_in_repo: op for op in self.operations}, self.taken)
        request.bring(planned, message)
        return request.merge(planned, message, sure)
