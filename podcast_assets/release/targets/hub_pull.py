"""A release of many files on the Hub: brought in portions to a pull request, and merged once it is there, whole and alone."""

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
    """Planned state of the files after a release."""

    def __init__(
        self, before: Mapping[str, TargetFile], operations: Mapping[str, Operation], taken: Mapping[str, str]
    ) -> None:
        self.before, self.operations, self.taken = before, operations, taken

    def strangers(self, files: Mapping[str, TargetFile]) -> list[str]:
        """Files that are neither as before nor as they are to be, or that nobody planned to delete: somebody else's doing."""
        others = [p for p, f in files.items() if not self._as_before(p, f) and not self._as_planned(p, f)]
        return [*others, *(p for p in self.before if p not in files and not self._is_to_go(p))]

    def missing(self, files: Mapping[str, TargetFile]) -> list[Operation]:
        """Operations that are still missing."""
        return [
            op
            for path, op in self.operations.items()
            if (path in files if isinstance(op, CommitOperationDelete) else not self._as_planned(path, files.get(path)))
        ]

    def _is_to_go(self, path: str) -> bool:
        return isinstance(self.operations.get(path), CommitOperationDelete)

    def _as_before(self, path: str, found: TargetFile) -> bool:
        return self.before.get(path) == found

    def _as_planned(self, path: str, found: TargetFile | None) -> bool:
        operation = self.operations.get(path)
        if found is None:
            return False
        if not isinstance(operation, CommitOperationAdd):
            return operation is None and self.taken.get(path) == found.sha256 is not None
        if found.size != operation.upload_info.size:
            return False
        if found.sha256 is not None:
            return found.sha256 == operation.upload_info.sha256.hex()
        return isinstance(operation.path_or_fileobj, bytes) and found.is_content(operation.path_or_fileobj)


class PullRequest:
    """A release under way in a pull request. Its title says from which head, so that it is found again after a crash."""

    def __init__(self, target: "HubTarget", number: int, base: str) -> None:
        self.target, self.number, self.base = target, number, base
        self.ref = f"refs/pr/{number}"
        self.files = target.files(self.ref)

    @classmethod
    def open_on(cls, target: "HubTarget", base: str) -> "PullRequest | None":
        """The one that a release onto this head began. Those onto older heads are closed: they cannot be merged any more.

        Anybody may open one of that title: those of other users are neither taken up nor touched.
        """
        found = None
        for one in call_with_retries(lambda: list(target.api.get_repo_discussions(target.name, repo_type=KIND))):
            if not one.is_pull_request or one.status not in ("open", "draft") or not one.title.startswith(_TITLE):
                continue
            if one.author != target.user():
                log.warning("%s: pull request %d, of %s, is left unchanged", target.where, one.num, one.author)
                continue
            if one.title == f"{_TITLE}{base}" and found is None:
                found = cls(target, one.num, base)
            else:
                _set_status(target, one.num, "closed")
        return found

    @classmethod
    def begun(cls, target: "HubTarget", base: str) -> "PullRequest":
        """A new one."""
        title = f"{_TITLE}{base}"
        about = "Merged by podcast-assets once all of it is here."
        made = call_with_retries(
            lambda: target.api.create_pull_request(target.name, title=title, description=about, repo_type=KIND)
        )
        return cls(target, made.num, base)

    def bring(self, planned: PlannedFiles, message: str) -> None:
        """Commit what is not in it yet, in portions, each after the one before."""
        if planned.strangers(self.files):
            self._give_up("it was begun for another release")
        missing = planned.missing(self.files)
        size = self.target.commit_files
        portions = [missing[i : i + size] for i in range(0, len(missing), size)]
        head = _head_of(self.target, self.ref)
        for number, portion in enumerate(portions, start=1):
            title = f"{message} ({number} of {len(portions)})"
            head = create_commit(self.target, portion, title, head, self.ref)
            log.info(
                "%s: %d of %d portions are in pull request %d", self.target.where, number, len(portions), self.number
            )

    def merge(self, planned: PlannedFiles, message: str, sure: Callable[[], None]) -> str:
        """Publish it, if all of the release and nothing else is in it, and the head has not moved."""
        files = self.target.files(self.ref)
        if planned.strangers(files) or planned.missing(files):
            self._give_up("somebody else has written to it")
        if self.target.newest() != self.base:
            self._give_up("somebody else has published meanwhile")
        sure()
        _set_status(self.target, self.number, "open")
        try:
            with translate_errors():  # not twice: whether it was applied shows at the next look
                self.target.api.merge_pull_request(self.target.name, self.number, comment=message, repo_type=KIND)
        except (Misconfigured, HfHubHTTPError) as refused:
            if _get_status(self.target, self.number) == "open":
                raise
            raise Stale(f"pull request {self.number} was closed meanwhile", wait=0.5) from refused
        revision = self.target.newest()
        if revision is None or revision == self.base:
            raise Stale(f"pull request {self.number} was merged, and does not show yet")
        # a merge cannot carry what it expects: what came into it in between shows only now
        files = self.target.files(revision)
        if planned.strangers(files) or planned.missing(files):
            raise Stale(f"pull request {self.number} was merged, and not as it was brought", wait=0.5)
        return revision

    def _give_up(self, why: str) -> NoReturn:
        _set_status(self.target, self.number, "closed")
        raise Stale(f"pull request {self.number}: {why}", wait=0.5)


def create_commit(
    target: "HubTarget", operations: Sequence[Operation], message: str, parent: str, revision: str
) -> str:
    """Make one commit after another; gives its id. It is not tried again: whether it was applied shows at the next look.

    Raises:
        Stale: the parent is not the newest commit any more, or no answer came.
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
