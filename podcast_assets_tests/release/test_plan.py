"""What a release does to shards that are published: nothing without need."""

from dataclasses import replace

import pytest

from podcast_assets.common.errors import BadInput
from podcast_assets.release.plan import ReleasePlan, WantedPart, plan_release
from podcast_assets.release.published import Part, PublishedShard

TRAIN = "data/en/train"
KNOWN = {"a", "b", "c"}


def wanted(batch: str, number: int = 0, *, digest: str = "1", size: int = 100, group: str = TRAIN) -> WantedPart:
    return WantedPart(Part(batch, f"{group}/audio_{number:06d}.tar", digest, 3), size)


def release(
    published: list[PublishedShard], *parts: WantedPart, known: set[str] = KNOWN, **how: list[str]
) -> ReleasePlan:
    pairs = {("segments", batch) for batch in known}
    return plan_release(published, parts, known=pairs, shard_bytes=1000, dropped=how.get("dropped", []))


def published(found: ReleasePlan) -> list[PublishedShard]:
    """As the release of a plan leaves it."""
    return [PublishedShard(s.path, "", 1, 3, 1.0, "en", "train", "segments", s.parts) for s in found.shards]


def made(found: ReleasePlan) -> dict[str, list[str]]:
    return {s.path.removeprefix(f"{TRAIN}/"): [p.batch for p in s.parts] for s in found.shards if not s.stays}


def test_small_tails_share_a_shard_and_full_ones_do_not() -> None:
    found = release(
        [], wanted("a", 0, size=1000), wanted("a", 1), wanted("b", 0, size=990), wanted("b", 1), wanted("c")
    )
    assert [[(p.batch, p.shard[-5]) for p in s.parts] for s in found.shards] == [
        [("a", "0")],
        [("a", "1"), ("b", "1"), ("c", "0")],
        [("b", "0")],
    ]


def test_the_order_in_which_parts_are_told_does_not_matter() -> None:
    parts = [wanted(b, n, size=400) for b in "cab" for n in range(2)]
    assert release([], *parts) == release([], *reversed(parts))


def test_what_is_published_stays_and_what_is_new_follows() -> None:
    before = published(release([], wanted("a"), wanted("b")))
    assert made(release(before, wanted("a"), wanted("b"))) == {}
    later = release(before, wanted("a"), wanted("b"), wanted("c"), wanted("c", group="data/de/test"))
    assert made(later) == {"audio_000001.tar": ["c"], "data/de/test/audio_000000.tar": ["c"]}


def test_a_part_that_changes_has_only_its_own_shard_made_again() -> None:
    before = published(release([], wanted("a", size=950), wanted("b", size=950), wanted("c", size=950)))
    found = release(before, wanted("a"), wanted("b", digest="2"), wanted("c"))
    assert made(found) == {"audio_000001.tar": ["b"]}
    assert [s.path for s in found.shards] == [s.path for s in before]


def test_a_part_that_is_gone_leaves_the_others_of_its_shard() -> None:
    before = published(release([], wanted("a"), wanted("b")))
    assert made(release(before, wanted("b"))) == {"audio_000000.tar": ["b"]}
    assert release(before).removed == [f"{TRAIN}/audio_000000.tar"]


def test_a_store_that_does_not_have_a_batch_unpublishes_nothing() -> None:
    before = published(release([], wanted("a", size=950), wanted("b")))
    found = release(before, wanted("b"), known={"b"})
    assert made(found) == {} and not found.removed
    assert made(release(before, known=set())) == {}


def test_a_batch_that_is_not_at_hand_is_dropped_only_by_name() -> None:
    before = published(release([], wanted("a", size=950), wanted("b")))
    assert release(before, wanted("b"), known={"b"}, dropped=["a"]).removed == [f"{TRAIN}/audio_000000.tar"]


def test_a_shard_is_not_made_again_without_all_that_it_holds() -> None:
    before = published(release([], wanted("a"), wanted("b")))
    with pytest.raises(
        BadInput, match=r"audio_000000\.tar must be rebuilt.* parts of a, which this store does not have"
    ):
        release(before, wanted("b", digest="2"), known={"b"})


def test_a_number_is_not_given_twice_while_a_later_one_is_there() -> None:
    before = published(release([], wanted("a", size=950), wanted("b", size=950)))
    found = release(before, wanted("b"), wanted("c"))
    assert made(found) == {"audio_000002.tar": ["c"]}
    assert found.removed == [f"{TRAIN}/audio_000000.tar"]


def test_a_part_that_is_listed_twice_is_published_once() -> None:
    (shard,) = published(release([], wanted("a")))
    twice = replace(shard, path=f"{TRAIN}/audio_000007.tar")
    assert release([shard, twice], wanted("a")).removed == [twice.path]
