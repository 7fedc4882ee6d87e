"""What is taken from before, what failed for good and what has to be done: the one decision that every stage asks for."""

from typing import Any

import pytest

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.stages.resume import decide, failure_row
from podcast_assets.store.commits import Checkpoints, CommittedTable, commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, SECOND_OPINIONS, empty_table, make_table
from podcast_assets.store.store import Store
from podcast_assets_tests.committed import failure

ASSET = "second_opinions"
FINGERPRINTS: dict[str, str] = dict.fromkeys(
    ("done", "by-fallback", "stored", "bad", "busy", "new", "changed", "bad-changed"), "f" * 32
)


def made(episode: str, fingerprint: str = "f" * 32, fallback: str | None = None) -> dict[str, Any]:
    return dict.fromkeys(PROVENANCE) | {"episode_id": episode, "fingerprint": fingerprint, "fallback": fallback}


@pytest.fixture
def before(store: Store) -> CommittedTable:
    done = [made("done"), made("by-fallback", fallback="the first one failed"), made("changed", "0" * 32)]
    failed = [
        failure("second", permanent=True, episode="bad"),
        failure("second", episode="busy"),
        failure("second", permanent=True, episode="bad-changed") | {"fingerprint": "0" * 32},
    ]
    commit(store, ASSET, "b", empty_table(SECOND_OPINIONS), make_table(done, PROVENANCE), make_table(failed, FAILURES))
    return CommittedTable.read(store, ASSET, "b")


@pytest.fixture
def checkpoints(store: Store) -> Checkpoints:
    found = Checkpoints(store, "second", "b", SECOND_OPINIONS)
    for episode, fingerprint in {"stored": "f" * 32, "new": "0" * 32}.items():
        found.write(
            episode, fingerprint, empty_table(SECOND_OPINIONS), make_table([made(episode, fingerprint)], PROVENANCE)
        )
    return found


def test_each_episode_is_taken_or_given_up_or_done(before: CommittedTable, checkpoints: Checkpoints) -> None:
    found = decide(FINGERPRINTS, before, checkpoints=checkpoints)
    assert list(found.committed) == ["done", "by-fallback"]
    assert list(found.checkpointed) == ["stored"]
    assert list(found.failed_permanently) == ["bad"]
    assert found.todo == ["busy", "new", "changed", "bad-changed"]
    assert found.failed_permanently["bad"]["message"] == "it failed"
    assert found.committed["done"]["fingerprint"].to_list() == ["f" * 32]


def test_before_the_first_commit_all_is_to_be_done() -> None:
    assert decide(FINGERPRINTS, CommittedTable.nothing()).todo == list(FINGERPRINTS)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"retry_permanent": True}, {"bad"}),
        ({"retry_fallbacks": True}, {"by-fallback"}),
        ({"takes_committed": False}, {"done", "by-fallback"}),
        ({"checkpoints": None}, {"stored"}),
        ({"has_outputs": lambda e: e not in ("done", "stored", "bad")}, {"done", "stored"}),
    ],
    ids=["failures for good again", "fallbacks again", "no committed table", "no checkpoints", "files gone"],
)
def test_what_is_done_again(
    before: CommittedTable, checkpoints: Checkpoints, changes: dict[str, Any], more: set[str]
) -> None:
    usual = decide(FINGERPRINTS, before, checkpoints=checkpoints)
    how: dict[str, Any] = {"checkpoints": checkpoints} | changes
    found = decide(FINGERPRINTS, before, **how)
    assert set(found.todo) - set(usual.todo) == more
    assert found.todo == [e for e in FINGERPRINTS if e in {*usual.todo, *more}]


def test_attempts_count_on_as_long_as_nothing_changes(before: CommittedTable) -> None:
    def attempts(error: Exception, episode: str = "busy", fingerprint: str = "f" * 32) -> int:
        row = failure_row(before, error, episode_id=episode, source="x", stage="second", fingerprint=fingerprint)
        assert row["permanent"] == isinstance(error, BadInput)
        return row["attempts"]

    assert attempts(OSError("again")) == 2
    assert attempts(BadInput("no audio")) == 2
    assert attempts(EngineUnavailable("no model")) == 1
    assert attempts(OSError("changed"), fingerprint="1" * 32) == 1
    assert attempts(OSError("first"), episode="new") == 1


def test_a_failure_has_a_message_and_a_traceback(before: CommittedTable) -> None:
    about = {"episode_id": "new", "source": "x", "stage": "second", "fingerprint": "f" * 32}
    assert failure_row(before, KeyError(), **about)["message"] == "KeyError"
    assert failure_row(before, OSError("x"), **about)["traceback"].strip().endswith("OSError: x")
    assert failure_row(before, OSError("x"), **about, trace="elsewhere")["traceback"] == "elsewhere"
