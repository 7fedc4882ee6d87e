"""Fingerprints of results: equal fingerprints mean that a result can be reused."""

import hashlib
import json
from typing import Any

import polars as pl


def fingerprint(**parts: Any) -> str:
    """SHA-256 (first 32 hex digits) over named parts: JSON values, or frames by their rows."""
    plain = {k: hash_rows(v) if isinstance(v, pl.DataFrame) else v for k, v in parts.items()}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_rows(frame: pl.DataFrame) -> str:
    """SHA-256 over the column names and the rows of a frame, in order."""
    return hashlib.sha256(f"{frame.columns}\n{frame.write_ndjson()}".encode()).hexdigest()
