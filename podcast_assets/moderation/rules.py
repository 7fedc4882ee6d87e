"""Which segments rules about content flags select. Pure functions on tables; releases and the catalog use them."""

from collections.abc import Iterable, Sequence

import polars as pl

from podcast_assets.config.content_rules import ContentRule
from podcast_assets.moderation.judging import FLAGGED
from podcast_assets.moderation.summary import segment_flags

SELECTED = pl.Schema({"segment_id": pl.String, "rule": pl.String})


def select_segments(flags: pl.DataFrame, rules: Sequence[ContentRule]) -> pl.DataFrame:
    """Return the segments that fulfil a rule: segment_id, and the first rule that selects it.

    Args:
        flags: rows of `content_flags`.
        rules: the rules; a segment is selected if it fulfils any of them.
    """
    rows = segment_flags(flags)
    found = [
        rows.filter(_fulfils(rule)).select("segment_id", rule=pl.lit(rule.text), order=pl.lit(number))
        for number, rule in enumerate(rules)
    ]
    if not found:
        return SELECTED.to_frame()
    return (
        pl.concat(found)
        .sort("segment_id", "order")
        .unique("segment_id", keep="first", maintain_order=True)
        .select(list(SELECTED))
    )


def unknown_rules(labels: Iterable[tuple[str, str]], rules: Sequence[ContentRule]) -> list[ContentRule]:
    """Return the rules that name a policy or a label which does not exist.

    Args:
        labels: (policy, slug of a label) that were judged.
        rules: the rules.
    """
    known = set(labels)
    return [
        rule
        for rule in rules
        if not any(
            rule.policy in (None, policy) and (rule.is_verdict or rule.target == label) for policy, label in known
        )
    ]


def _fulfils(rule: ContentRule) -> pl.Expr:
    named = pl.lit(True) if rule.policy is None else pl.col("policy") == rule.policy
    if rule.is_verdict:
        return named & (pl.col("verdict") == rule.target)
    labelled = named & (pl.col("label") == rule.target)
    if rule.limit is None:
        return labelled & (pl.col("verdict") == FLAGGED)
    probability = pl.col("probability")
    return labelled & (probability >= rule.limit if rule.inclusive else probability > rule.limit).fill_null(False)
