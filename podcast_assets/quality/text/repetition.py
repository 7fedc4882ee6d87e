"""Repetition measures of texts: distinct words, repeated n-grams, and loops of one phrase."""

import numpy as np
import numpy.typing as npt
import polars as pl

_NGRAM = 3
LONGEST_PERIOD = 16
"""Words (or characters, in scripts without spaces) of the longest phrase whose repetition is detected."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Odd multiplier that spreads bits: 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, 6.4)."""

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


def measure_repetition(tokens: pl.Series) -> pl.DataFrame:
    """Measure repetition in texts given as lists of tokens. `tokens` is their number; the others are null if it is 0.

    `unique_word_share` is distinct tokens over tokens. `ngram_repetition` is the share of token 3-grams that have occurred before
    in the text, 0 for fewer than three tokens. `loop_words` is the number of repeated tokens in the longest
    stretch in which a phrase occurs at least three times in a row; 0 if there is none.
    """
    lengths = tokens.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = tokens.explode(empty_as_null=False, keep_nulls=False)
    hashes = flat.hash().to_numpy().astype(np.uint64)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    ngrams = np.maximum(lengths - _NGRAM + 1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        unique = _count_distinct(hashes, rows, len(lengths)) / lengths
        repeated = np.where(ngrams > 0, 1 - _count_distinct(*_hash_ngrams(hashes, rows), len(lengths)) / ngrams, 0.0)
    frame = pl.DataFrame(
        {
            "tokens": lengths,
            "unique_word_share": unique,
            "ngram_repetition": repeated,
            "loop_words": _count_loop_tokens(hashes, rows, len(lengths)),
        }
    )
    return frame.with_columns(
        pl.when(pl.col("tokens") > 0).then(pl.col(name)).alias(name) for name in frame.columns[1:]
    )


def _hash_ngrams(hashes: Hashes, rows: Rows) -> tuple[Hashes, Rows]:
    """Hash the 3-grams that lie in one text."""
    first, second, third = hashes[:-2], hashes[1:-1], hashes[2:]
    mixed = ((first * _ODD + second) * _ODD + third) * _ODD if len(hashes) > 2 else hashes[:0]
    inside = rows[:-2] == rows[2:] if len(rows) > 2 else np.zeros(0, bool)
    return mixed[inside], rows[: len(mixed)][inside]


def _count_distinct(hashes: Hashes, rows: Rows, count: int) -> npt.NDArray[np.int64]:
    """Count the distinct hashes of each of `count` rows."""
    seen = pl.DataFrame({"row": rows, "hash": hashes}).unique()["row"].to_numpy()
    return np.bincount(seen, minlength=count)


def _count_loop_tokens(hashes: Hashes, rows: Rows, count: int) -> npt.NDArray[np.int32]:
    """Count the tokens of each row's longest stretch that repeats with some period, at least two periods long."""
    longest = np.zeros(count, np.int32)
    for period in range(1, LONGEST_PERIOD + 1):
        if len(hashes) <= 2 * period:
            break
        same = (hashes[period:] == hashes[:-period]) & (rows[period:] == rows[:-period])
        edges = np.flatnonzero(np.diff(same, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        lengths = ends - starts
        enough = lengths >= 2 * period
        np.maximum.at(longest, rows[starts[enough]], lengths[enough].astype(np.int32))
    return longest
