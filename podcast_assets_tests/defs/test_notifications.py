"""What the webhook hears of runs that a command executes itself, without a daemon."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from podcast_assets.config.settings import Settings
from podcast_assets.defs.assets import raw_audio
from podcast_assets.defs.launch import run_in_process
from podcast_assets.defs.notifications import TRACEBACK_LENGTH, TRACEBACK_LINES, describe_run, notifies_itself
from podcast_assets.store.store import Store
from podcast_assets_tests.servers.receiver import Receiver, receiver

SECRET = "0123456789abcdef0123"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a batch in which there is nothing to do."""
    found = Store.at(tmp_path / "store")
    found.write("incoming/notes/a.txt", b"no audio")
    return found


def settings(store: Store, hook: Receiver, **more: Any) -> Settings:
    return Settings(
        store=str(store.root),
        profile="embedded",
        webhook_url=hook.url,  # type: ignore[arg-type]
        webhook_secret=SECRET,  # type: ignore[arg-type]
        **more,
    )


def contents(found: Receiver) -> list[dict[str, Any]]:
    return [r.content for r in found.received]


def test_a_run_of_a_command_is_told_at_its_start_and_at_its_failure(
    instance: dg.DagsterInstance, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    store.remove("incoming/notes/a.txt")
    with receiver(500) as hook:
        result = run_in_process(instance, settings(store, hook), ["notes"], source="backfill")
    assert not result.succeeded
    again, start, end = contents(hook)
    assert again == start, "the first answer was 500"
    assert (start["status"], start["error"], start["traceback"]) == ("started", None, None)
    assert (end["status"], end["batches"], end["source"]) == ("failure", ["notes"], "backfill")
    assert end["job"] == "podcast_dataset"
    assert start["run_id"] == end["run_id"] == result.run_id
    assert end["error"] == result.error
    assert ", line " in end["traceback"]
    assert str(end["error"]).partition(": ")[2] in end["traceback"].splitlines()[-1], "the error itself comes last"
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert notifies_itself(run, dg.DagsterRunStatus.FAILURE), "a daemon does not tell it again"


def test_only_wanted_events_are_sent(instance: dg.DagsterInstance, store: Store) -> None:
    with receiver() as hook:
        wanted = settings(store, hook, webhook_events="Success, failure")
        assert run_in_process(instance, wanted, ["notes"], source="command").succeeded
    assert [c["status"] for c in contents(hook)] == ["success"]


def test_a_webhook_that_is_down_fails_no_run(
    instance: dg.DagsterInstance, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    with receiver(*[503] * 10) as hook:
        result = run_in_process(instance, settings(store, hook), ["notes"], source="command")
    assert result.succeeded
    assert "failed in all 5 attempts; the last error: status 503" in caplog.text
    assert "token-in-the-path" not in caplog.text


def test_an_interrupted_run_is_told(
    instance: dg.DagsterInstance, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(raw_audio, "find_arrival", interrupt)
    with receiver() as hook, pytest.raises(KeyboardInterrupt):
        run_in_process(instance, settings(store, hook), ["notes"], source="command")
    assert [(c["status"], c["error"]) for c in contents(hook)] == [
        ("started", None),
        ("canceled", "interrupted by a signal"),
    ]
    (run,) = instance.get_runs()
    assert notifies_itself(run, run.status), "a daemon does not tell it as a failure"


def test_a_run_whose_process_was_killed_is_left_to_the_daemon() -> None:
    """As one that is retried, and has the tags of the run that it repeats."""
    gone = {"podcast/host": os.uname().nodename, "podcast/pid": "1", "podcast/born": "0.0"}
    run = dg.DagsterRun("podcast_dataset", run_id="a", tags={".dagster/podcast/notified": "a STARTED", **gone})
    assert notifies_itself(run, dg.DagsterRunStatus.STARTED)
    assert not notifies_itself(run, dg.DagsterRunStatus.FAILURE)
    retried = dg.DagsterRun("podcast_dataset", run_id="b", tags=run.tags)
    assert not notifies_itself(retried, dg.DagsterRunStatus.STARTED)


def test_a_notification_shows_no_secret_and_no_more_than_fits() -> None:
    run = dg.DagsterRun("podcast_dataset")
    error = "GET https://me:password@host/a?token=1 failed"
    trace = [*(f"line {n}" for n in range(99)), f"{error} {'x' * 9999}"]
    found = describe_run(run, dg.DagsterRunStatus.FAILURE, [], {}, error, trace)
    assert found["error"] == "GET https://host/a failed"
    assert "password" not in found["traceback"]
    assert len(found["traceback"]) == TRACEBACK_LENGTH
    found = describe_run(run, dg.DagsterRunStatus.FAILURE, [], {}, "no", trace[:20])
    assert found["traceback"].splitlines() == trace[20 - TRACEBACK_LINES : 20]
