"""Numbers and lists of names in messages."""

from collections.abc import Sequence


def count_noun(number: int, noun: str) -> str:
    """Format a number with its noun.

    >>> count_noun(1, "shard"), count_noun(2000, "shard"), count_noun(2, "batch")
    ('1 shard', '2,000 shards', '2 batches')
    """
    plural = "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def join_names(names: Sequence[str], limit: int = 10) -> str:
    """Join names with commas, and count those over a limit.

    >>> join_names(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
