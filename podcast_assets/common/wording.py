"""Numbers and lists of names in messages."""

from collections.abc import Sequence


def count_noun(number: int, noun: str) -> str:
    """Format a number with its noun.

    >>> count_noun(1, "shard"), count_noun(2000, "shard"), count_noun(2, "batch")
    ('1 shard', '2,000 shards', '2 batches')
    """
    plural = "es" if noun.endswith("ch") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def format_bytes(size: float, unit: str = "bytes") -> str:
    """Format a number of bytes with a decimal unit.

    Args:
        size: bytes.
        unit: what fewer than 1,000 are called.

    >>> format_bytes(999), format_bytes(12_345_678)
    ('999 bytes', '12.3 MB')
    """
    if size < 1000:
        return f"{size:,.0f} {unit}"
    for larger in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:,.1f} {larger}"
    return f"{size / 1000:,.1f} TB"


def join_names(names: Sequence[str], limit: int = 10) -> str:
    """Join names with commas, and count those over a limit.

    >>> join_names(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
