"""A share of a batch against that of earlier batches."""

from collections.abc import Sequence

from podcast_assets.defs.checks.tables import Verdict

EARLIER_BATCHES = 5
"""Maximum number of earlier batches that a share of a batch is compared with."""
MIN_EARLIER = 2
"""Minimum number of earlier batches: fewer do not show what is usual."""


def share_steady(
    current: tuple[float, float], earlier: Sequence[tuple[str, float, float]], drift: float, too_few: str
) -> Verdict:
    """Check that a share differs by at most `drift` from that of earlier batches together.

    Args:
        current: the part and the whole of the batch to check, in any unit.
        earlier: other batches with their part and whole, the latest first; those without anything do not count.
        drift: largest accepted difference, 0 to 1.
        too_few: note of a verdict that passes because there is too little to compare.
    """
    compared = [found for found in earlier if found[2] > 0][:EARLIER_BATCHES]
    facts: dict[str, object] = {"threshold": drift, "compared_with": [batch for batch, _, _ in compared]}
    part, whole = current
    if not whole or len(compared) < MIN_EARLIER:
        return Verdict(passed=True, facts=facts | {"note": too_few})
    share = part / whole
    usual = sum(part for _, part, _ in compared) / sum(whole for _, _, whole in compared)
    return Verdict(
        abs(share - usual) <= drift, facts | {"share": round(share, 4), "share_of_batches_before": round(usual, 4)}
    )
