"""How a server is asked: retries, bounds, the budget, and answers that are kept, against a double of such a server over HTTP."""

import re
import socket
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import make_engine
from podcast_assets.moderation.classifiers.openai import OpenAi
from podcast_assets.moderation.endpoint import client
from podcast_assets.moderation.endpoint.answers import FOLDER
from podcast_assets.moderation.endpoint.client import RequestFailed
from podcast_assets.moderation.endpoint.remote import is_remote
from podcast_assets.moderation.endpoint.spending import BudgetSpent
from podcast_assets.moderation.protocol import Judgment, ModerationPolicy, Usage, Window
from podcast_assets.store.store import Store
from podcast_assets_tests.doubles.completions import MODEL, Asked, Reply, chat, completions
from podcast_assets_tests.moderation.endpoint.policies import POLICY, policy, window

CLEAN = chat("0", [("0", {"0": 0.9, "1": 0.1})])
FLAGGED = chat("1", [("1", {"1": 0.9, "0": 0.1})])
Judged = dict[int, tuple[tuple[Judgment, ...], Usage]]


def worker(url: str, **settings: Any):
    return cast("OpenAi", make_engine("classifier", "openai", **{"url": url, "model": MODEL} | settings)).load()


def judge(judging: Any, windows: list[Window], given: ModerationPolicy = POLICY, store: Store | None = None) -> Judged:
    return {w.index: (judgments, usage) for w, judgments, usage in judging.judge(windows, given, store)}


def windows(count: int) -> list[Window]:
    return [window(f"What was said in window {i}.", i) for i in range(count)]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before retries, which are not waited for."""
    found: list[float] = []

    def sleep(event: threading.Event) -> Any:
        return found.append

    monkeypatch.setattr(client, "sleep_using_event", sleep)
    return found


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(waits: list[float], status: int) -> None:
    replies = [Reply({"error": {"message": "busy"}}, status)] * 2
    with completions(lambda _: replies.pop() if replies else CLEAN) as server:
        found = judge(worker(server.url, concurrency=1), windows(1))
    assert [j.probability for j in found[0][0]] == [pytest.approx(0.1)] * 2
    assert len(server.asked) == 4
    assert len(waits) == 2


def test_the_server_says_how_long_to_wait(waits: list[float]) -> None:
    replies = [Reply({}, 429, {"Retry-After": "7"}), Reply({}, 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})]
    with completions(lambda _: replies.pop(0) if replies else CLEAN) as server:
        judge(worker(server.url, concurrency=1), windows(1))
    assert waits == [7.0, 0.0]


def test_a_lost_server_stops_the_work_and_says_what_to_do(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(EngineUnavailable, match=f"{url}/v1 does not answer .*PODCAST_MODERATION_PATIENCE"):
            judge(worker(url, patience=5.0), windows(3))


def test_a_server_that_asks_to_wait_longer_than_the_patience_is_not_waited_for(waits: list[float]) -> None:
    with (
        completions(lambda _: Reply({}, 429, {"Retry-After": "3600"})) as server,
        pytest.raises(EngineUnavailable, match="status 429"),
    ):
        judge(worker(server.url, patience=60.0), windows(1))
    assert waits == []


def test_one_question_that_the_server_fails_at_fails_its_episode(waits: list[float]) -> None:
    """Not the whole stage: another episode may be well."""

    def script(asked: Asked) -> Reply:
        return Reply({"error": "assertion failed"}, 500) if "window 1" in asked.prompt else CLEAN

    with completions(script) as server, pytest.raises(RequestFailed, match="4 times at one request: assertion failed"):
        judge(worker(server.url), windows(2))


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "API_KEY"), (403, "API_KEY"), (404, "MODEL"), (302, "URL"), (418, "URL")]
)
def test_a_server_that_refuses_everything_stops_the_work(status: int, advice: str) -> None:
    reply = Reply({"error": {"message": "no"}}, status, {"Location": "http://127.0.0.1:9/"})
    with completions(lambda _: reply) as server, pytest.raises(EngineUnavailable, match=f"status {status}.*{advice}"):
        judge(worker(server.url), windows(1))


def test_a_server_without_the_model_is_not_asked() -> None:
    with completions(lambda _: CLEAN) as server:
        server.facts["/v1/models"] = {"data": [{"id": "another/model"}]}
        with pytest.raises(EngineUnavailable, match=r"does not serve the model 'scripted'.*another/model"):
            judge(worker(server.url), windows(1))
    assert server.asked == []


def test_so_many_questions_are_sent_at_once_and_no_more() -> None:
    """The server answers when it has as many as allowed: it would wait forever for one more, and for one less."""
    allowed, full = 4, threading.Event()

    def script(_: Asked) -> Reply:
        if server.at_once == allowed:
            full.set()
        assert full.wait(30)
        return CLEAN

    with completions(script) as server:
        judge(worker(server.url, concurrency=allowed), windows(6))
    assert server.most_at_once == allowed


def test_windows_come_as_soon_as_they_are_answered() -> None:
    late = threading.Event()

    def script(asked: Asked) -> Reply:
        return Reply(CLEAN.content, wait=late) if "window 0" in asked.prompt else CLEAN

    with completions(script) as server:
        judging = worker(server.url, concurrency=4).judge(windows(3), POLICY)
        first = [next(judging)[0].index for _ in range(2)]
        late.set()
        rest = [w.index for w, _, _ in judging]
    assert (sorted(first), rest) == ([1, 2], [0])


# -- answers are kept -------------------------------------------------------------------------------------------------


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    """Neither after an error in the middle, nor by another process: what was answered is in the store."""
    store = Store.at(tmp_path)

    def script(_: Asked) -> Reply:
        if len(server.asked) > 7:
            return Reply({"error": {"message": "out of credits"}}, 402)
        return FLAGGED if len(server.asked) % 2 else CLEAN

    with completions(script) as server:
        with pytest.raises(EngineUnavailable, match="out of credits"):
            judge(worker(server.url, concurrency=1), windows(10), store=store)
        answered = [a.prompt for a in server.asked[:7]]
        server.script = lambda _: CLEAN
        found = judge(worker(server.url), windows(10), store=store)
        prompts = [a.prompt for a in server.asked[before:]]
        again = judge(worker(server.url), windows(10), store=store)
    assert len(prompts) == 20 - 7
    assert not set(prompts) & set(answered)
    first = [j.probability for i in range(3) for j in found[i][0]]
    assert first == [pytest.approx(p) for p in (0.9, 0.1) * 3], "the first answers count"
    assert {i: js for i, (js, _) in again.items()} == {i: js for i, (js, _) in found.items()}
    assert sum(usage.tokens_in for _, usage in again.values()) == 0


def test_a_threshold_or_probe_changes_nothing_that_was_answered(tmp_path: Path) -> None:
    from dataclasses import replace

    store = Store.at(tmp_path)
    other = replace(POLICY, hash="1" * 64, labels=tuple(replace(x, threshold=0.9) for x in POLICY.labels))
    with completions(lambda _: CLEAN) as server:
        judge(worker(server.url), windows(2), store=store)
        judge(worker(server.url), windows(2), other, store=store)
        assert len(server.asked) == 4
        judge(worker(server.url), windows(2), policy(headings=True), store=store)
        judge(worker(server.url, model="other"), windows(2), store=store)
        assert len(server.asked) == 12, "another prompt, another model"


def test_what_could_not_be_read_is_asked_again_when_asked_for(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    with completions(lambda _: chat("perhaps", [("perhaps", {"perhaps": 1.0})])) as server:
        judge(worker(server.url), windows(1), store=store)
        server.script = lambda _: CLEAN
        kept = judge(worker(server.url), windows(1), store=store)
        assert len(server.asked) == 2
        anew = judge(worker(server.url, attempt=2), windows(1), store=store)
        judge(worker(server.url, attempt=2), windows(1), store=store)
    assert len(server.asked) == 4
    assert [j.reason is None for j in (*kept[0][0], *anew[0][0])] == [False, False, True, True]


def test_kept_answers_have_no_words_of_the_transcript(tmp_path: Path) -> None:
    """So that a takedown need not look for them."""
    store = Store.at(tmp_path)
    long = "Confidential: " + " ".join(f"word{i}" for i in range(50))
    with completions(lambda asked: chat(asked.prompt[-300:], [("x", {"x": 1.0})])) as server:
        judge(worker(server.url), [window(long)], store=store)
    kept = [store.read(e.key) for e in store.list(FOLDER)]
    assert len(kept) == 2
    assert not [content for content in kept if b"word10" in content or b"word2 " in content]


def test_a_damaged_answer_is_asked_again(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    with completions(lambda _: CLEAN) as server:
        judge(worker(server.url), windows(1), store=store)
        for entry in list(store.list(FOLDER)):
            store.write(entry.key, b"{")
        judge(worker(server.url), windows(1), store=store)
    assert len(server.asked) == 4


# -- limits and cost --------------------------------------------------------------------------------------------------


def test_a_window_that_is_too_long_is_not_cut_and_not_asked(tmp_path: Path) -> None:
    with completions(lambda _: CLEAN) as server:
        server.facts["/v1/models"] = {"data": [{"id": MODEL, "max_model_len": 1_024}]}
        judging = worker(server.url)
        long = "word " * 1_000
        assert judging.fits("short", POLICY)
        assert not judging.fits(long, POLICY)
        found = judge(judging, [window(long), window("short", 1)], store=Store.at(tmp_path))
    assert len(server.asked) == 2
    assert all(long.strip() not in a.prompt for a in server.asked)
    assert [j.probability for j in found[0][0]] == [None, None]
    assert "too long: with the policy" in str(found[0][0][0].reason)
    assert "context of 1024" in str(found[0][0][0].reason)
    assert found[1][0][0].probability is not None


def test_the_tokenizer_of_the_server_decides_where_the_bound_does_not() -> None:
    """A long text of few tokens fits; nobody is asked about a short one."""
    with completions(lambda _: CLEAN) as server:
        server.facts["/v1/models"] = {"data": [{"id": MODEL, "meta": {"n_ctx": 1_024}}]}
        server.facts["/tokenize"] = {"count": 900, "max_model_len": 1_024, "tokens": [1] * 900}
        assert worker(server.url).fits("word " * 1_000, POLICY)
        server.facts["/tokenize"] = {"tokens": [1] * 1_000}
        assert not worker(server.url).fits("word " * 1_000, POLICY)
        server.facts.clear()
        assert not worker(server.url, context=1_024).fits("word " * 1_000, POLICY)
        assert worker(server.url).fits("word " * 1_000, POLICY), "the adapter's own context"


def test_prices_are_counted_and_a_budget_stops_the_run(tmp_path: Path) -> None:
    """100 tokens of a question at 1,000 USD per million and 10 of an answer at 2,000: 0.12 USD an answer."""
    store = Store.at(tmp_path)
    prices = {"price_in": 1_000.0, "price_out": 2_000.0, "concurrency": 1}
    with completions(lambda _: CLEAN) as server:
        usage = judge(worker(server.url, **prices), windows(1), store=store)[0][1]
        assert (usage.tokens_in, usage.tokens_out) == (200, 20)
        assert usage.price == pytest.approx(0.24)
        with pytest.raises(BudgetSpent, match=r"PODCAST_MODERATION_BUDGET=0.7 USD is used up: 0.\d+ USD were spent"):
            judge(worker(server.url, budget=0.7, **prices), windows(10), store=store)
        asked = len(server.asked)
        assert 2 < asked < 2 + 0.7 / 0.12
        judge(worker(server.url, **prices), windows(10), store=store)
        assert len(server.asked) == 20, "what was answered stays"
        assert judge(worker(server.url), windows(1))[0][1].price is None


# -- where texts go ---------------------------------------------------------------------------------------------------

ADDRESSES = {
    "127.0.0.1": False,
    "::1": False,
    "192.168.1.20": False,
    "10.9.8.7": False,
    "100.100.1.1": False,
    "fd00::7": False,
    "::ffff:10.0.0.1": False,
    "8.8.8.8": True,
    "2606:4700::1111": True,
    "::ffff:8.8.8.8": True,
    "172.32.0.1": True,
    "192.0.2.1": True,
}


@pytest.mark.parametrize(("address", "remote"), ADDRESSES.items())
def test_addresses_outside_private_networks_are_remote(address: str, remote: bool) -> None:
    assert is_remote("https://gpu.example:8000/v1", lambda host, port: [address]) is remote
    assert is_remote(f"http://{f'[{address}]' if ':' in address else address}:8000") is remote


def test_a_name_with_a_public_address_or_none_is_remote() -> None:
    assert is_remote("https://gpu.example", lambda host, port: ["10.0.0.1", "8.8.8.8"])

    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror

    assert is_remote("https://gpu.example", unknown)
    assert not is_remote("http://localhost:8000/v1")


def test_texts_leave_the_network_only_where_that_is_allowed() -> None:
    engine = make_engine("classifier", "openai", url="https://8.8.8.8/v1")
    message = "transcripts would be sent to https://8.8.8.8/v1.*PODCAST_MODERATION_ALLOW_REMOTE=true"
    for refused in (engine.fetch, engine.load):
        with pytest.raises(EngineUnavailable, match=message):
            refused()
    assert re.search(message, engine.unavailable_reason() or "")
    make_engine("classifier", "openai", url="https://8.8.8.8/v1", allow_remote=True).fetch()


def test_without_a_server_the_setting_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="PODCAST_MODERATION_URL"):
        make_engine("classifier", "openai").fetch()
