"""Release target in a dataset repository on the Hugging Face Hub, or at HF_ENDPOINT.

Shards are made and uploaded one at a time, so that this machine holds only one. They become visible with one commit, whose parent
must be the head that the release was planned from. Releases of many files are prepared in a pull request, which is then merged.
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
from podcast_assets.common.scratch import SCRATCH_PREFIX
from podcast_assets.release.targets.hub_calls import call_with_retries, hide_signatures, translate_errors
from podcast_assets.release.targets.hub_history import purge_history
from podcast_assets.release.targets.hub_pull import KIND, Operation, PlannedFiles, PullRequest, create_commit
from podcast_assets.release.targets.protocol import PublishedHead, ReleaseChange, Stale, TargetFile
from podcast_assets.store.store import Store

log = logging.getLogger(__name__)

COMMIT_FILES = 100
"""Maximum number of files per commit; the Hub times out on larger ones."""
_MAIN = "main"
_TAG = re.compile(r"r(\d{4,})")


class HubTarget:
    """Release target in a dataset repository."""

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
        """Create the target; the repository is created by the first release.

        Args:
            repo: owner/name.
            private: whether the repository is created as private.
            gated: whether readers must request access.
            endpoint: URL of the Hub; defaults to HF_ENDPOINT.
            token: access token; defaults to HF_TOKEN or that of `hf auth login`.
            commit_files: number of files above which a release is prepared in a pull request.
        """
        disable_progress_bars()
        hide_signatures()
        self.api = HfApi(
            endpoint=endpoint, token=token, library_name="podcast-assets", library_version=version("podcast-assets")
        )
        self.name, self.private, self.gated, self.commit_files = repo, private, gated, commit_files
        self.uploaded: dict[str, CommitOperationAdd] = {}
        """SHA-256 → operation of the files that this process has uploaded, so that another attempt does not upload them again.
        The client can commit an operation only once, so each attempt gets a copy."""

    @property
    def repo(self) -> str | None:
        """owner/name."""
        return self.name

    @property
    def where(self) -> str:
        """URL of the repository."""
        return f"{self.api.endpoint}/datasets/{self.name}"

    def head(self) -> PublishedHead:
        """Read the newest commit with its files and their hashes."""
        revision = self.latest_commit()
        return PublishedHead() if revision is None else PublishedHead(revision, self.files(revision))

    def user(self) -> str:
        """Name of the user of the token. Cached, because the Hub limits the rate of this call."""
        return call_with_retries(lambda: self.api.whoami(cache=True))["name"]

    def latest_commit(self) -> str | None:
        """The newest commit; None if there is no repository."""

        def get_commit() -> str | None:
            try:
                return self.api.repo_info(self.name, repo_type=KIND, revision=_MAIN).sha
            except RepositoryNotFoundError as error:
                if error.response.status_code != 404:
                    raise
                return None

        return call_with_retries(get_commit)

    def files(self, revision: str) -> dict[str, TargetFile]:
        """Path → file of a commit or reference."""

        def list_files() -> list[RepoFile]:
            tree = self.api.list_repo_tree(self.name, recursive=True, revision=revision, repo_type=KIND)
            return [entry for entry in tree if isinstance(entry, RepoFile)]

        return {
            e.path: TargetFile(e.size, e.lfs.sha256 if e.lfs else None, e.blob_id)
            for e in call_with_retries(list_files)
        }

    def history(self, head: PublishedHead) -> Iterator[PublishedHead]:
        """Earlier commits, newest first."""
        if head.revision is None:
            return
        for commit in call_with_retries(
            lambda: self.api.list_repo_commits(self.name, repo_type=KIND, revision=head.revision)
        ):
            if commit.commit_id != head.revision:
                yield PublishedHead(commit.commit_id, self.files(commit.commit_id))

    def read(self, head: PublishedHead, path: str) -> bytes:
        """Read a file of a commit."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            file = call_with_retries(
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
            return Path(file).read_bytes()

    @contextlib.contextmanager
    def change(self, head: PublishedHead) -> Iterator[ReleaseChange]:
        """Begin a release that follows a head; the repository is created if there is none."""
        if head.revision is None:
            created = self._create_repository()
            head = PublishedHead(created, self.files(created))
        with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
            yield _HubChange(self, head, Path(folder))

    def _create_repository(self) -> str:
        call_with_retries(lambda: self.api.create_repo(self.name, repo_type=KIND, private=self.private, exist_ok=True))
        if self.gated:
            call_with_retries(lambda: self.api.update_repo_settings(self.name, repo_type=KIND, gated="auto"))
        revision = self.latest_commit()
        if revision is None:
            raise Misconfigured(f"{self.where} was created but cannot be read: check that HF_TOKEN may read it")
        return revision

    def purge(self, store: Store, revision: str) -> str:
        """Delete taken-down content from all commits; return the head, which this rewrites."""
        with translate_errors():
            purged = purge_history(store, self.api, self.name)
        if purged.waiting:
            log.warning(
                "%s: %d objects remain to be purged from its history: release again", self.where, purged.waiting
            )
        return (self.latest_commit() or revision) if purged.removed else revision

    def tag(self, revision: str) -> str | None:
        """Tag a commit as r0001, r0002, …, unless it has such a tag; return the tag."""
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
        """Create a tag; False if it exists, which may be ours, from a request whose response was lost."""

        def create() -> bool:
            try:
                self.api.create_tag(self.name, tag=name, revision=revision, repo_type=KIND)
            except HfHubHTTPError as error:
                if error.response is None or error.response.status_code != HTTPStatus.CONFLICT:
                    raise
                return False
            return True

        return call_with_retries(create)


class _HubChange:
    """A release in progress: the operations of one commit."""

    def __init__(self, target: HubTarget, head: PublishedHead, scratch: Path) -> None:
        self.target, self.head, self._scratch = target, head, scratch
        self.operations: list[Operation] = []
        self.reused: dict[str, str] = {}
        """Path → SHA-256 of files that are already in the pull request."""
        self.request = PullRequest.find_open(target, str(head.revision))

    @property
    def scratch(self) -> Path:
        """Temporary folder, whose prefix lets the janitor remove it after a crash."""
        return self._scratch

    def reuse(self, path: str, sha256: str) -> int | None:
        """Reuse a file of the open pull request, of the head, or of an earlier attempt; return its size, or None."""
        if self.request and (found := self.request.files.get(path)) and found.sha256 == sha256:
            self.reused[path] = sha256
            return found.size
        if (found := self.head.files.get(path)) and found.sha256 == sha256:
            return found.size
        operation = self.target.uploaded.get(sha256)
        if operation is None:
            return None
        again = copy.copy(operation)
        again.path_in_repo = path  # another release may have used its number meanwhile
        self.operations.append(again)
        return again.upload_info.size

    def add_file(self, path: str, file: Path, sha256: str) -> None:
        """Upload a file, unless the Hub already has its content."""
        operation = CommitOperationAdd(path, str(file))
        operation.upload_info.sha256 = bytes.fromhex(sha256)  # avoids reading the file once more
        call_with_retries(lambda: self.target.api.preupload_lfs_files(self.target.name, [operation], repo_type=KIND))
        if operation.path_or_fileobj == str(file):  # the Hub wants small files in the commit itself
            operation = CommitOperationAdd(path, file.read_bytes())
        else:
            self.target.uploaded[sha256] = copy.copy(operation)
        self.operations.append(operation)

    def add(self, path: str, data: bytes) -> None:
        """Add a small file to the commit."""
        self.operations.append(CommitOperationAdd(path, data))

    def remove(self, path: str) -> None:
        """Delete a file in the commit."""
        self.operations.append(CommitOperationDelete(path, is_folder=False))

    def commit(self, message: str, final_check: Callable[[], None]) -> str:
        """Commit directly, or through a pull request if there are many files or one is open."""
        try:
            return self._commit(message, final_check)
        except Stale as stale:
            if stale.uploads_lost:
                self.target.uploaded.clear()
            raise

    def _commit(self, message: str, final_check: Callable[[], None]) -> str:
        target = self.target
        if len(self.operations) <= target.commit_files and self.request is None:
            final_check()
            return create_commit(target, self.operations, message, str(self.head.revision), _MAIN)
        request = self.request or PullRequest.create(target, str(self.head.revision))
        planned = PlannedFiles(self.head.files, {op.path_in_repo: op for op in self.operations}, self.reused)
        request.upload(planned, message)
        return request.merge(planned, message, final_check)
