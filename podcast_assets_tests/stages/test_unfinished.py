"""What is missing, and what may pass, as the store tells it."""

from podcast_assets.stages.unfinished import missing, with_retryable_failures
from podcast_assets.store.store import Store, failures_key, table_key
from podcast_assets_tests.committed import commit_batch, failure


def test_a_batch_that_lacks_a_table_is_missing(store: Store) -> None:
    assert missing(store, ["b", "a"]) == ["b", "a"]
    commit_batch(store, "done")
    commit_batch(store, "cut-off", without="hf_shards")
    commit_batch(store, "changed", without="raw_audio")
    assert missing(store, ["never", "done", "cut-off", "changed"]) == ["never", "cut-off", "changed"]


def test_failures_that_may_pass(store: Store) -> None:
    commit_batch(store, "good")
    commit_batch(store, "bad-data", failure("ingest", permanent=True))
    commit_batch(store, "may-pass", failure("transcribe", attempts=2), failure("ingest", permanent=True, episode="b"))
    commit_batch(store, "often", failure("score", attempts=5))
    every = ["often", "bad-data", "never", "good", "may-pass"]
    assert with_retryable_failures(store, every) == ["often", "may-pass"]
    assert with_retryable_failures(store, every, attempts=5) == ["may-pass"]
    assert with_retryable_failures(store, every, attempts=2) == []


def test_failures_of_a_commit_that_never_came_are_none(store: Store) -> None:
    commit_batch(store, "a", failure("diarize"))
    commit_batch(store, "b")
    store.write(failures_key("diarize", "b"), store.read(failures_key("diarize", "a")))
    assert with_retryable_failures(store, ["a", "b"]) == ["a"]
    store.remove(table_key("diarized_segments", "a"))
    assert with_retryable_failures(store, ["a", "b"]) == []
