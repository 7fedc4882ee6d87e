"""Random choices that depend on the item alone: repeated, they come out the same, here and in PostgreSQL."""

import hashlib


def chance(text: str) -> float:
    """Return a number from 0 to before 1 that looks random, from a text."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:13], 16) / 2**52


def chance_sql(expression: str) -> str:
    """Return the same number's SQL for an expression that is a text."""
    return f"(('x' || left(md5({expression}), 13))::bit(52)::bigint::double precision / {2**52})"
