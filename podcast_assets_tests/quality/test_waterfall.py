import polars as pl

from podcast_assets.quality.policies.waterfall import rejection_losses, sum_losses


def judged(*rows: tuple[float, list[str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"duration": pl.Float64, "reject_reasons": pl.List(pl.String)}, orient="row")


HOUR = 3600.0
BATCH = judged((2 * HOUR, ["a", "b"]), (HOUR, ["b"]), (HOUR, ["b", "c"]), (4 * HOUR, []), (HOUR, ["c"]))


def test_what_each_reason_takes_first_and_alone() -> None:
    found = rejection_losses(BATCH, ["c", "b", "a"])
    assert found["reason"].to_list() == ["c", "b", "a"]
    assert found.select("hours", "first_hours", "own_hours").rows() == [
        (2.0, 1.0, 1.0),
        (4.0, 2.0, 1.0),
        (2.0, 2.0, 0.0),
    ]
    assert found.select("segments", "first_segments", "own_segments").rows() == [(2, 1, 1), (3, 2, 1), (1, 1, 0)]


def test_first_shares_add_up_to_all_that_is_rejected() -> None:
    assert rejection_losses(BATCH)["first_hours"].sum() == 5.0


def test_batches_add_up() -> None:
    both = sum_losses(
        [rejection_losses(BATCH), rejection_losses(judged((HOUR, ["d"]))), rejection_losses(BATCH)], ["a"]
    )
    assert both["reason"].to_list() == ["a", "b", "c", "d"]
    assert both["hours"].to_list() == [4.0, 8.0, 4.0, 1.0]


def test_an_empty_batch_loses_nothing() -> None:
    assert rejection_losses(BATCH.clear()).is_empty()
    assert sum_losses([]).schema == rejection_losses(BATCH).schema
