"""Releases of many files to the Hub: committed in several parts to a pull request, which is merged when it is complete."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NoReturn

from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError

from podcast_assets.common.errors import Misconfigured
from podcast_assets.release.targets.hub_calls import call_with_retries, translate_errors
from podcast_assets.release.targets.protocol import Stale, TargetFile

if TYPE_CHECKING:
    from podcast_assets.release.targets.hub import HubTarget

log = logging.getLogger(__name__)

KIND = "dataset"
_TITLE = "Release onto "

Operation = CommitOperationAdd | CommitOperationDelete


class PlannedFiles:
    """Planned state of the files after a release.

    Args:
        before: path → file of the head that the release follows.
        operations: path → operation of the release.
        reused: path → SHA-256 of the files that an earlier attempt has committed to the pull request.
    """

    def __init__(
        self, before: Mapping[str, TargetFile], operations: Mapping[str, Operation], reused: Mapping[str, str]
    ) -> None:
        self.before, self.operations, self.reused = before, operations, reused

    def unexpected(self, files: Mapping[str, TargetFile]) -> list[str]:
        """Paths of files that differ from both the head and the plan, or were deleted without a plan: changes of others."""
        changed = [p for p, f in files.items() if not self._as_before(p, f) and not self._as_planned(p, f)]
        return [*changed, *(p for p in self.before if p not in files and not self._is_deleted(p))]

    def missing(self, files: Mapping[str, TargetFile]) -> list[Operation]:
        """Operations that have not been committed yet."""
        return [
            op
            for path, op in self.operations.items()
            if (path in files if isinstance(op, CommitOperationDelete) else not self._as_planned(path, files.get(path)))
        ]

    def _is_deleted(self, path: str) -> bool:
        return isinstance(self.operations.get(path), CommitOperationDelete)

    def _as_before(self, path: str, found: TargetFile) -> bool:
        return self.before.get(path) == found

    def _as_planned(self, path: str, found: TargetFile | None) -> bool:
        operation = self.operations.get(path)
        if found is None:
            return False
        if not isinstance(operation, CommitOperationAdd):
            return operation is None and self.reused.get(path) == found.sha256 is not None
        if found.size != operation.upload_info.size:
            return False
        if found.sha256 is not None:
            return found.sha256 == operation.upload_info.sha256.hex()
        return isinstance(operation.path_or_fileobj, bytes) and found.is_content(operation.path_or_fileobj)


class PullRequest:
    """A release in progress in a pull request. Its title names the head that it follows, so that it is found after a crash."""

    def __init__(self, target: "HubTarget", number: int, base: str) -> None:
        self.target, self.number, self.base = target, number, base
        self.ref = f"refs/pr/{number}"
        self.files = target.files(self.ref)

    @classmethod
    def find_open(cls, target: "HubTarget", base: str) -> "PullRequest | None":
        """Find the open pull request of a release onto this head. Those onto older heads are closed, as they cannot be merged.

        Anybody may open a pull request with such a title: those of other users are ignored.
        """
        found = None
        for discussion in call_with_retries(lambda: list(target.api.get_repo_discussions(target.name, repo_type=KIND))):
            if (
                not discussion.is_pull_request
                or discussion.status not in ("open", "draft")
                or not discussion.title.startswith(_TITLE)
            ):
                continue
            if discussion.author != target.user():
                log.warning("%s: pull request %d by %s is ignored", target.where, discussion.num, discussion.author)
                continue
            if discussion.title == f"{_TITLE}{base}" and found is None:
                found = cls(target, discussion.num, base)
            else:
                _set_status(target, discussion.num, "closed")
        return found

    @classmethod
    def create(cls, target: "HubTarget", base: str) -> "PullRequest":
        """Create a pull request for a release onto a head."""
        title = f"{_TITLE}{base}"
        description = "podcast-assets merges this when it is complete."
        created = call_with_retries(
            lambda: target.api.create_pull_request(target.name, title=title, description=description, repo_type=KIND)
        )
        return cls(target, created.num, base)

    def upload(self, planned: PlannedFiles, message: str) -> None:
        """Commit the missing operations in several parts, each on top of the previous one.

        Raises:
            Stale: the pull request holds something else, or a commit failed.
        """
        if planned.unexpected(self.files):
            self._close_as_stale("it contains files of another release")
        missing = planned.missing(self.files)
        size = self.target.commit_files
        parts = [missing[i : i + size] for i in range(0, len(missing), size)]
        head = _head_of(self.target, self.ref)
        for number, part in enumerate(parts, start=1):
            title = f"{message} ({number} of {len(parts)})"
            head = create_commit(self.target, part, title, head, self.ref)
            log.info(
                "%s: committed part %d of %d to pull request %d", self.target.where, number, len(parts), self.number
            )

    def merge(self, planned: PlannedFiles, message: str, final_check: Callable[[], None]) -> str:
        """Merge the pull request if it holds the whole release and nothing else; return the new head.

        Raises:
            Stale: the pull request or the head was changed by somebody else, or the merge is not visible yet.
        """
        files = self.target.files(self.ref)
        if planned.unexpected(files) or planned.missing(files):
            self._close_as_stale("somebody else has committed to it")
        if self.target.latest_commit() != self.base:
            self._close_as_stale("another release was published meanwhile")
        final_check()
        _set_status(self.target, self.number, "open")
        try:
            with translate_errors():  # not retried: the next attempt sees whether it was applied
                self.target.api.merge_pull_request(self.target.name, self.number, comment=message, repo_type=KIND)
        except (Misconfigured, HfHubHTTPError) as refused:
            if _get_status(self.target, self.number) == "open":
                raise
            raise Stale(f"pull request {self.number} was closed meanwhile", wait=0.5) from refused
        revision = self.target.latest_commit()
        if revision is None or revision == self.base:
            raise Stale(f"pull request {self.number} was merged, but the merge is not visible yet")
        # a merge cannot name the commit it expects, so commits that came in between are noticed only now
        files = self.target.files(revision)
        if planned.unexpected(files) or planned.missing(files):
            raise Stale(f"pull request {self.number} was merged with changes by somebody else", wait=0.5)
        return revision

    def _close_as_stale(self, why: str) -> NoReturn:
        _set_status(self.target, self.number, "closed")
        raise Stale(f"pull request {self.number}: {why}", wait=0.5)


def create_commit(
    target: "HubTarget", operations: Sequence[Operation], message: str, parent: str, revision: str
) -> str:
    """Commit on top of a parent and return the new commit. Not retried: the next attempt sees whether it was applied.

    Raises:
        Stale: the parent is not the newest commit any more, or there was no response.
    """
    with translate_errors():
        return target.api.create_commit(
            target.name,
            operations,
            commit_message=message,
            repo_type=KIND,
            revision=revision,
            parent_commit=parent,
        ).oid


def _head_of(target: "HubTarget", ref: str) -> str:
    found = call_with_retries(lambda: target.api.repo_info(target.name, repo_type=KIND, revision=ref)).sha
    if found is None:
        raise Stale(f"{ref} has no commit")
    return found


def _set_status(target: "HubTarget", number: int, status: Literal["open", "closed"]) -> None:
    if _get_status(target, number) not in (status, "merged"):
        call_with_retries(lambda: target.api.change_discussion_status(target.name, number, status, repo_type=KIND))


def _get_status(target: "HubTarget", number: int) -> str:
    return call_with_retries(lambda: target.api.get_discussion_details(target.name, number, repo_type=KIND)).status
