"""Many reviewers at once: nobody gets what somebody else has, and nothing is left over."""

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, insert, select, text

from podcast_assets.catalog.tables import DECISIONS, QUEUE_ITEMS
from podcast_assets.review.decisions import decide, effective, read_decisions
from podcast_assets.review.errors import LeaseLost
from podcast_assets.review.leases import lease_item, next_item
from podcast_assets.review.queues import Criteria, queue_lengths, refresh_queues
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.roles import User
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import fill_batch, segment_ref

ITEMS, PEOPLE, SHARE = 500, 8, 0.1


def test_eight_reviewers_share_a_queue(catalog: Engine) -> None:
    fill_batch(catalog, segments=ITEMS)
    refresh_queues(catalog, Criteria(second_look=SHARE, random=1))
    people = [make_user(catalog, f"reviewer{n}") for n in range(PEOPLE)]
    held: set[tuple[ItemRef, int]] = set()
    guard = threading.Lock()

    def review(user: User) -> int:
        done = 0
        while (lease := next_item(catalog, user, "random")) is not None:
            key = (lease.ref, lease.look)
            with guard:
                assert key not in held, f"{key} was somebody else's"
                held.add(key)
            decide(catalog, user, lease.ref, "text", {"text": "the same"}, queue=lease.queue)
            done += 1
        return done

    with ThreadPoolExecutor(PEOPLE) as pool:
        counts = list(pool.map(review, people))
    decisions = list(read_decisions(catalog))
    by_item = Counter(d.ref for d in decisions)
    second = sum(number == 2 for number in by_item.values())
    assert len(by_item) == ITEMS
    assert len(decisions) == sum(counts) == ITEMS + second
    assert 0.5 * SHARE < second / ITEMS < 1.7 * SHARE
    assert all(
        len({d.user_id for d in decisions if d.ref == ref}) == number for ref, number in by_item.items() if number > 1
    )
    lengths = queue_lengths(catalog, people[0])["random"]
    assert (lengths.open, lengths.leased, lengths.done) == (0, 0, ITEMS)
    assert Counter(e.standing for e in effective(catalog)) == {"agreed": second, "single": ITEMS - second}


def test_one_item_for_eight_people(catalog: Engine) -> None:
    fill_batch(catalog)
    people = [make_user(catalog, f"reviewer{n}") for n in range(PEOPLE)]
    barrier = threading.Barrier(PEOPLE)

    def take(user: User) -> bool:
        barrier.wait()
        try:
            lease_item(catalog, user, segment_ref(1))
        except LeaseLost:
            return False
        return True

    with ThreadPoolExecutor(PEOPLE) as pool:
        assert list(pool.map(take, people)).count(True) == 1


def test_queues_are_made_again_while_people_decide(catalog: Engine) -> None:
    fill_batch(catalog, segments=60)
    criteria = Criteria(second_look=0, random=1)
    refresh_queues(catalog, criteria)
    user, stop = make_user(catalog, "ada"), threading.Event()

    def refresh() -> None:
        while not stop.is_set():
            refresh_queues(catalog, criteria, batches=["first"])

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(refresh)
        while (lease := next_item(catalog, user, "random")) is not None:
            decide(catalog, user, lease.ref, "text", {"text": "x"})
        stop.set()
        busy.result()
    assert len(list(read_decisions(catalog))) == 60
    with catalog.connect() as connection:
        state = connection.execute(select(QUEUE_ITEMS.c.look).where(QUEUE_ITEMS.c.queue == "random")).scalars().all()
    assert set(state) == {None}


def test_decisions_from_a_notebook_count(catalog: Engine) -> None:
    """Whoever may add rows by SQL, says no look and no user of the page."""
    fill_batch(catalog)
    ref = segment_ref(1)
    with catalog.begin() as connection:
        connection.execute(
            insert(DECISIONS).values(
                decision_id=uuid.uuid4(), batch=ref.batch, episode_id=ref.episode_id, item_id=ref.item_id, action="text",
                value={"text": "by SQL"},
            )
        )  # fmt: skip
        name = connection.scalar(text("SELECT session_user"))
    [held] = effective(catalog)
    assert (held.value["text"], held.standing, held.reviewers) == ("by SQL", "single", (name,))
