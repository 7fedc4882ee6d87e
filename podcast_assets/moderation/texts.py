"""Whether content flags are of the texts that a segment has now."""

import hashlib

import polars as pl


def text_hash(text: str) -> str:
    """Return the hash of a segment's text that tells whether it was judged as it is: 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def judged_texts(flags: pl.DataFrame) -> pl.DataFrame:
    """Return the texts that each policy judged: segment_id, policy, text_hash, without duplicates."""
    return (
        flags.select("policy", "segment_ids", "text_hashes")
        .explode("segment_ids", "text_hashes")
        .rename({"segment_ids": "segment_id", "text_hashes": "text_hash"})
        .drop_nulls("segment_id")
        .unique(maintain_order=True)
        .select("segment_id", "policy", "text_hash")
    )


def outdated_segments(flags: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Return the segments whose flags are of another text than they have: segment_id, policy.

    Args:
        flags: rows of `content_flags`.
        texts: segment_id, text.
    """
    now = texts.select("segment_id", now=pl.col("text").map_elements(text_hash, return_dtype=pl.String))
    compared = judged_texts(flags).join(now, on="segment_id", how="inner", maintain_order="left")
    return compared.filter(pl.col("text_hash") != pl.col("now")).select("segment_id", "policy")
