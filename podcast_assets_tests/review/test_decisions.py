"""Decisions and looks: who gets what next, and what holds in the end."""

import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, text, update

from podcast_assets.catalog.tables import BATCHES, DECISIONS, LEASES, QUEUE_ITEMS, SEGMENTS
from podcast_assets.review.chance import chance, chance_sql
from podcast_assets.review.decisions import decide, effective, history, read_decisions, undo
from podcast_assets.review.errors import BadDecision, ItemGone, LeaseLost, NotAllowed
from podcast_assets.review.leases import lease_item, next_item, release, renew
from podcast_assets.review.queues import Criteria, Queue, QueueFilter, queue_lengths, refresh_queues
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.roles import User
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import fill_batch, segment_id, segment_ref, window_ref

HATE = {"harassment": False, "hate_speech": True}
BOTH = {"harassment": True, "hate_speech": True}
NEVER, ALWAYS = Criteria(second_look=0, random=1), Criteria(second_look=1, random=1)


@pytest.fixture
def people(catalog: Engine) -> tuple[User, User, User]:
    fill_batch(catalog)
    refresh_queues(catalog, NEVER)
    return make_user(catalog, "ada"), make_user(catalog, "bob"), make_user(catalog, "carol", "adjudicator")


def lengths(engine: Engine, user: User) -> Mapping[str, tuple[int, int]]:
    return {queue: (n.mine, n.done) for queue, n in queue_lengths(engine, user).items() if n.open + n.done}


def test_queues_have_what_their_names_say(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, *_ = people
    assert lengths(catalog, ada) == {
        "flagged": (1, 0), "needs_review": (1, 0), "low_coverage": (1, 0), "low_confidence": (1, 0), "disagreement": (1, 0),
        "random": (4, 0), "failures": (1, 0),
    }  # fmt: skip
    expected: tuple[tuple[Queue, ItemRef], ...] = (
        ("flagged", window_ref(0)),
        ("needs_review", window_ref(1)),
        ("low_coverage", segment_ref(2)),
        ("disagreement", segment_ref(2)),  # ada has it from the queue before
        ("failures", ItemRef.failure("first", "first-broken", "transcribe")),
    )
    for queue, ref in expected:
        lease = next_item(catalog, ada, queue)
        assert lease
        assert lease.ref == ref
        assert (lease.look, lease.blind) == (1, False)
    assert next_item(catalog, ada, "flagged", QueueFilter(policy="another")) is not None, "the lease that runs"
    release(catalog, ada, window_ref(0))
    assert next_item(catalog, ada, "flagged", QueueFilter(policy="another")) is None
    assert next_item(
        catalog, ada, "flagged", QueueFilter(batch="first", podcast="A Show", language="en", policy="harmful")
    )


def test_one_look_completes_an_item_and_undo_gives_it_back(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, _ = people
    lease = next_item(catalog, ada, "flagged")
    assert lease
    assert next_item(catalog, bob, "flagged") is None
    made = decide(
        catalog, ada, lease.ref, "label", BOTH, queue="flagged", shown={"p": float("nan"), "t": "a\0b"}, confidence=0.8,
        note=" sure ", seconds=1e9, session="s",
    )  # fmt: skip
    assert (made.look, made.policy, made.policy_hash, made.note, made.role) == (
        1,
        "harmful",
        "0" * 64,
        "sure",
        "reviewer",
    )
    assert made.previous == BOTH, "what the model said"
    assert made.shown == {"p": None, "t": "ab"}
    assert made.seconds == 4 * 3600
    assert lengths(catalog, bob)["flagged"] == (0, 1)
    assert next_item(catalog, bob, "flagged") is None
    undone = undo(catalog, ada)
    assert undone == made
    assert lengths(catalog, ada)["flagged"] == (1, 0)
    assert next_item(catalog, bob, "flagged") is None, "ada has it again"
    assert effective(catalog) == []
    assert undo(catalog, ada) is None
    decide(catalog, ada, lease.ref, "label", HATE)
    assert [d.action for d in history(catalog, lease.ref)] == ["label", "undo", "label"]
    assert {e.label: e.value for e in effective(catalog)} == HATE


def test_contradicting_the_model_brings_a_blind_second_look(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, carol = people
    ref = window_ref(0)
    assert next_item(catalog, ada, "flagged")
    decide(catalog, ada, ref, "label", HATE)
    assert next_item(catalog, ada, "flagged") is None, "nobody gets what he decided"
    with pytest.raises(LeaseLost, match="begins in its queue"):
        decide(catalog, bob, ref, "label", BOTH)
    second = next_item(catalog, bob, "flagged")
    assert second
    assert (second.ref, second.look, second.blind) == (ref, 2, True)
    assert history(catalog, ref, bob) == [], "he decides on his own"
    assert len(history(catalog, ref, carol)) == 1
    decide(catalog, bob, ref, "label", BOTH)
    assert len(history(catalog, ref, bob)) == 2
    assert {e.label: (e.value, e.standing, e.reviewers) for e in effective(catalog)} == {
        "harassment": (True, "disputed", ("ada", "bob")),
        "hate_speech": (True, "agreed", ("ada", "bob")),
    }
    assert next_item(catalog, bob, "flagged") is None
    assert next_item(catalog, make_user(catalog, "dan"), "flagged") is None, "a reviewer does not adjudicate"
    with pytest.raises(NotAllowed):
        lease_item(catalog, make_user(catalog, "eve"), ref)
    third = next_item(catalog, carol, "flagged")
    assert third
    assert (third.ref, third.look) == (ref, 3)
    decide(catalog, carol, ref, "label", HATE)
    assert {(e.label, e.value, e.standing, e.reviewers) for e in effective(catalog)} == {
        ("harassment", False, "adjudicated", ("carol",)),
        ("hate_speech", True, "adjudicated", ("carol",)),
    }
    assert lengths(catalog, carol)["flagged"] == (0, 1)
    for early in (ada, bob):
        with pytest.raises(LeaseLost, match="adjudicated"):
            undo(catalog, early)
        with pytest.raises(LeaseLost, match="adjudicated"):
            decide(catalog, early, ref, "label", BOTH)


def test_a_share_gets_a_second_look_and_agreement_ends_it(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, carol = people
    refresh_queues(catalog, ALWAYS)
    ref = segment_ref(2)
    assert next_item(catalog, ada, "disagreement")
    decide(catalog, ada, ref, "text", {"text": "What was said, two?"})
    lease = next_item(catalog, bob, "low_coverage")
    assert lease
    assert (lease.ref, lease.look) == (ref, 2)
    decide(catalog, bob, ref, "text", {"text": "what was said two"})
    [held] = effective(catalog, action="text")
    assert (held.standing, held.value["text"]) == ("agreed", "what was said two")
    assert next_item(catalog, carol, "low_coverage") is None
    undo(catalog, ada)
    assert next_item(catalog, carol, "low_coverage", QueueFilter()) is None, "ada has it back"
    again = next_item(catalog, ada, "low_coverage")
    assert again
    assert again.look == 1
    decide(catalog, ada, ref, "text", {"text": "something else"})
    third = next_item(catalog, carol, "random")
    assert third
    assert (third.ref, third.look) == (ref, 3)


def test_a_lease_that_ran_out_is_somebody_elses(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, _ = people
    first = next_item(catalog, ada, "flagged")
    assert first
    longer = renew(catalog, ada, first.ref)
    assert longer.until > first.until
    with catalog.begin() as connection:
        connection.execute(update(LEASES).values(until=text("now() - interval '1 second'")))
    assert renew(catalog, ada, first.ref).until > longer.until, "nobody else wanted it"
    with catalog.begin() as connection:
        connection.execute(update(LEASES).values(until=text("now() - interval '1 second'")))
    second = next_item(catalog, bob, "flagged")
    assert second
    assert second.ref == first.ref
    for action in (
        lambda: renew(catalog, ada, first.ref),
        lambda: decide(catalog, ada, first.ref, "label", BOTH),
        lambda: lease_item(catalog, ada, first.ref),
    ):
        with pytest.raises(LeaseLost):
            action()
    decide(catalog, bob, first.ref, "label", BOTH)
    with pytest.raises(LeaseLost, match="reviewed meanwhile"):
        decide(catalog, ada, first.ref, "label", BOTH)


def test_who_skips_does_not_get_it_again_and_others_do(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, _ = people
    lease = next_item(catalog, ada, "flagged")
    assert lease
    decide(catalog, ada, lease.ref, "skip", queue="flagged")
    assert next_item(catalog, ada, "flagged") is None
    assert next_item(catalog, bob, "flagged") is not None
    assert lengths(catalog, ada)["flagged"] == (0, 0)


def test_corrections_of_speakers_and_segments(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, *_ = people
    ref, after = segment_ref(1), segment_ref(2)
    for action, value in (
        ("rename_speaker", {"scope": "episode", "speaker": "S1", "name": " Ada  Lovelace "}),
        ("rename_speaker", {"scope": "podcast", "speaker": "S0", "name": "Bob"}),
        ("rename_speaker", {"scope": "podcast", "speaker": "S0", "name": "Robert"}),
        ("reassign", {"segments": [ref.item_id, after.item_id], "speaker": "S2"}),
        ("rename_speaker", {"scope": "episode", "speaker": "S2", "name": "Carl"}),
        ("split", {"word": 2, "at": 4.5, "speakers": ["S0", "S1"]}),
        ("join", {"with": after.item_id}),
    ):
        decide(catalog, ada, ref, action, value)  # type: ignore[arg-type]
    found = [(e.action, e.ref.item_id[-9:], e.value) for e in effective(catalog)]
    assert ("rename_speaker", "000006000", {"scope": "episode", "speaker": "S1", "name": "Ada Lovelace"}) in found
    assert [v["name"] for a, _, v in found if a == "rename_speaker" and v["scope"] == "podcast"] == ["Robert"]
    assert [(i, v) for a, i, v in found if a == "reassign"] == [("000006000", "S2"), ("000009000", "S2")]
    assert lengths(catalog, ada)["random"] == (4, 0), "he goes on with the item"
    assert [d.previous for d in history(catalog, ref)][2:4] == [
        {"name": "Bob"},
        {ref.item_id: "S1", after.item_id: "S0"},
    ]
    undo(catalog, ada)
    assert "join" not in {e.action for e in effective(catalog)}


@pytest.mark.parametrize(
    ("number", "action", "value"),
    [
        ("window", "label", None),
        ("window", "label", {"hate_speech": True}),
        ("window", "label", {"hate_speech": 1, "harassment": False}),
        ("window", "label", HATE | {"other": True}),
        ("window", "text", {"text": "x"}),
        ("segment", "label", HATE),
        ("segment", "text", {"text": "x" * 20_001}),
        ("segment", "text", {"text": "two words", "words": [{"word": "two", "start": 3, "end": 4}]}),
        ("segment", "text", {"text": "one", "words": [{"word": "one", "start": 90, "end": 91}]}),
        ("segment", "text", {"text": "one", "words": [{"word": "one", "start": 4, "end": 3}]}),
        ("segment", "rename_speaker", {"scope": "episode", "speaker": "S9", "name": "x"}),
        ("segment", "rename_speaker", {"scope": "everywhere", "speaker": "S0", "name": "x"}),
        ("segment", "reassign", {"segments": ["of another episode"], "speaker": "S0"}),
        ("segment", "split", {"word": 0, "at": 4.0}),
        ("segment", "split", {"word": 1, "at": 99.0}),
        ("segment", "join", {"with": "something"}),
        ("segment", "undo", None),
        ("segment", "drop table", None),
        ("segment", "retry", None),
        ("failure", "retry", {"x": 1}),
    ],
)
def test_what_does_not_fit_is_refused(
    catalog: Engine, people: tuple[User, User, User], number: str, action: Any, value: Any
) -> None:
    *_, carol = people
    failure = ItemRef.failure("first", "first-broken", "transcribe")
    ref = {"window": window_ref(0), "segment": segment_ref(1), "failure": failure}[number]
    with pytest.raises(BadDecision):
        decide(catalog, carol, ref, action, value)
    assert list(read_decisions(catalog)) == []


def test_what_is_not_there_or_not_allowed(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, _, carol = people
    for ref in (
        segment_ref(99),
        ItemRef("window", "first", "first-one", "first-one/harmful/x"),
        ItemRef.window("first", "first-one", "harmful", 99),
        ItemRef.segment("first", "another-episode", segment_ref(1).item_id),
        ItemRef.failure("first", "first-one", "transcribe"),
    ):
        with pytest.raises(ItemGone):
            decide(catalog, ada, ref, "skip")
        with pytest.raises(ItemGone):
            lease_item(catalog, ada, ref)
    request = {"scope": "episode", "reason": "asked by the publisher"}
    failure = ItemRef.failure("first", "first-broken", "transcribe")
    with pytest.raises(NotAllowed):
        decide(catalog, ada, segment_ref(1), "takedown", request)
    with pytest.raises(NotAllowed):
        decide(catalog, ada, failure, "discard")
    made = decide(catalog, carol, segment_ref(1), "takedown", request)
    assert made.value["target"] == "first/first-one"
    decide(catalog, carol, failure, "retry")
    assert lengths(catalog, carol)["failures"] == (0, 1)
    with catalog.begin() as connection:
        connection.execute(update(DECISIONS).values(reported_at=text("now()")))
    with pytest.raises(LeaseLost, match="carried out"):
        undo(catalog, carol)


def test_the_same_request_twice_is_one_decision(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, _ = people
    token = uuid.uuid4()
    first = decide(catalog, ada, segment_ref(1), "text", {"text": "one"}, token=token)
    assert decide(catalog, ada, segment_ref(1), "text", {"text": "one"}, token=token) == first
    with pytest.raises(BadDecision, match="something else"):
        decide(catalog, bob, segment_ref(1), "text", {"text": "one"}, token=token)
    assert [d.decision_id for d in read_decisions(catalog)] == [token]


def test_queues_follow_the_catalog_and_keep_what_was_decided(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, *_ = people
    decide(catalog, ada, segment_ref(2), "text", {"text": "two"})
    with catalog.begin() as connection:
        connection.execute(
            update(SEGMENTS).where(SEGMENTS.c.segment_id == segment_ref(3).item_id).values(uncovered_speech=3)
        )
        connection.execute(delete(SEGMENTS).where(SEGMENTS.c.segment_id == segment_ref(0).item_id))
    lease = next_item(catalog, ada, "random")
    assert lease
    assert lease.ref.item_id in {segment_id("first-one", n) for n in (1, 3)}, "what is gone is passed over"
    assert refresh_queues(catalog, NEVER) == 0
    with catalog.begin() as connection:
        connection.execute(update(BATCHES).values(loaded_at=text("clock_timestamp()")))
    assert refresh_queues(catalog, NEVER) == 1
    assert lengths(catalog, ada)["low_coverage"] == (1, 1)
    with catalog.begin() as connection:
        connection.execute(delete(QUEUE_ITEMS))
    refresh_queues(catalog, NEVER, batches=["first"])
    assert lengths(catalog, ada)["low_coverage"] == (1, 1)
    assert lengths(catalog, ada)["random"] == (2, 1)
    assert refresh_queues(catalog, ALWAYS) == 1
    assert queue_lengths(catalog, ada)["low_coverage"].second == 1


def test_search_leases_what_is_free(catalog: Engine, people: tuple[User, User, User]) -> None:
    ada, bob, _ = people
    refs = [segment_ref(0), segment_ref(1)]
    for user, expected in ((ada, 0), (bob, 1)):
        lease = next_item(catalog, user, "search", refs=refs)
        assert lease
        assert lease.ref == refs[expected]
    decide(catalog, ada, refs[0], "text", {"text": "x"})
    assert next_item(catalog, ada, "search", refs=refs) is None


def test_chance_is_the_same_in_the_database(catalog: Engine) -> None:
    with catalog.connect() as connection:
        for words in ("second look segment/a/b", "ąż 'quoted'", ""):
            assert connection.scalar(select(text(chance_sql(":t"))).params(t=words)) == pytest.approx(
                chance(words), abs=1e-12
            )
    assert 0.08 < sum(chance(f"item {n}") < 0.1 for n in range(5_000)) / 5_000 < 0.12
