"""The sample batch judged by a served model: the command or the server is killed with -9, and nothing is asked twice."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from podcast_assets.engines.engine import make_engine
from podcast_assets.moderation.endpoint.answers import FOLDER
from podcast_assets.moderation.policies.load import load_policy
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.moderate import Moderate, episodes_to_moderate
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.commits import CommittedTable
from podcast_assets.store.store import Store
from podcast_assets_tests.conftest import Place, SampleRun
from podcast_assets_tests.doubles.classifier import write_policy
from podcast_assets_tests.doubles.completions import MODEL, Asked, Reply, chat, completions
from podcast_assets_tests.faults.processes import PATIENCE, started, wait_for
from podcast_assets_tests.servers import llama, s3

pytestmark = pytest.mark.faults

TABLES = ("raw_audio", "diarized_segments", "transcripts")
ANSWERED = 5
"""Answers before the kill."""


def environment(place: Place, url: str, **more: str) -> dict[str, Any]:
    return {
        "PODCAST_MODERATION": "mine",
        "PODCAST_MODERATION_POLICIES": str(place.folder / "own"),
        "PODCAST_MODERATION_URL": url,
        **more,
    }


def flags(store: Store) -> pl.DataFrame:
    return CommittedTable.read(store, "content_flags", "sample").rows


def test_a_killed_command_asks_only_what_was_not_answered(sample_copy: Place) -> None:
    """The server holds one answer back: all before it were answered, and the next run asks none of them."""
    write_policy(sample_copy.folder / "own", "mine", engine="openai", words=20)
    never, held = threading.Event(), threading.Event()
    clean, flagged = chat("0", [("0", {"0": 0.75, "1": 0.25})]), chat("1", [("1", {"1": 1.0})])

    def is_probe(asked: Asked) -> bool:
        return "a bad word" in asked.prompt or "a good word" in asked.prompt

    def script(asked: Asked) -> Reply:
        if is_probe(asked):
            return flagged if "a bad word" in asked.prompt else clean
        if len(questions()) > ANSWERED and not held.is_set():
            held.set()
            return Reply(clean.content, wait=never)
        return clean

    def questions() -> list[str]:
        return [a.prompt for a in server.asked if not is_probe(a)]

    with completions(script) as server:
        given = environment(sample_copy, server.url, PODCAST_MODERATION_MODEL=MODEL, PODCAST_MODERATION_CONCURRENCY="1")
        process = started(sample_copy, "demo", **given)
        wait_for("the answer that is held back", held.is_set)
        process.kill()
        answered = questions()[:ANSWERED]
        assert len(list(sample_copy.store.list(FOLDER))) == ANSWERED
        before = len(questions())
        last = sample_copy.command("demo", "--json", **given)
        assert last.returncode == 0, last.stderr
        later = questions()[before:]
        never.set()
    assert len(set(answered)) == ANSWERED
    assert not set(answered) & set(later)
    rows = flags(sample_copy.store)
    assert len(later) == len(set(later)) == len(list(sample_copy.store.list(FOLDER))) - ANSWERED
    assert rows.height >= ANSWERED + len(later), "the same words in two windows are one question"
    assert set(rows["verdict"]) == {"clean"}
    assert set(rows["probability"]) == {0.25}
    assert rows["tokens_in"].sum() == 100 * len(later), "what this run spent"


def test_a_killed_server_that_comes_back_finishes_the_batch(sample_run: SampleRun, tmp_path: Path) -> None:
    """A real llama.cpp server. Its model judges nothing well: each row has a probability, or needs review with a reason.

    Without calibration probes, which it would fail.
    """
    policy = replace(load_policy(str(write_policy(tmp_path, "mine", engine="openai", words=40))), probes=())
    audio, segments, texts = (CommittedTable.read(sample_run.store, name, "sample").rows for name in TABLES)
    episodes = episodes_to_moderate(audio, segments, texts, policy)[:3]
    store = Store.at(tmp_path / "store")
    with llama.server(context=1_024, parallel=2) as first, s3.proxy(first.url.removesuffix("/v1")) as proxy:
        engine = make_engine("classifier", "openai", url=proxy.url, adapter="cope-a", model=llama.MODEL, concurrency=2)
        stage = Moderate(store, engine, policy)

        def asked() -> int:
            return [r.path for r in proxy.seen].count("/v1/completions")

        def answers() -> int:
            return sum(1 for _ in (tmp_path / "store" / FOLDER).rglob("*.json"))

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_stage, stage, "sample", episodes, store, Local(stage, 2), keep_checkpoints=False)
            wait_for("some answers", lambda: answers() >= ANSWERED or running.done())
            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait()
            assert not running.done(), "it was killed after the end"
            with llama.server(context=1_024, parallel=2, port=int(proxy.upstream.rpartition(":")[2])):
                rows, before = running.result(PATIENCE).table(), asked()
                again = run_stage(stage, "sample", episodes, store, Local(stage, 2), keep_checkpoints=False)
                assert asked() == before
    assert again.table().drop("tokens_in", "tokens_out").equals(rows.drop("tokens_in", "tokens_out"))
    assert again.table()["tokens_in"].sum() == 0
    assert rows["episode_id"].n_unique() == len(episodes)
    known = pl.col("probability").is_between(0, 1) & pl.col("reason").is_null()
    review = pl.col("probability").is_null() & pl.col("reason").is_not_null() & (pl.col("verdict") == "needs_review")
    assert rows.filter(known | review).height == rows.height
    assert set(rows["model"]) == {llama.MODEL}
