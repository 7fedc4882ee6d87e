"""Fingerprints of results: equal fingerprints mean that a result can be reused."""

import hashlib
import json
from typing import Any

import polars as pl


def fingerprint(**parts: Any) -> str:
    """Return the first 32 hex digits of the SHA-256 of named parts, which are JSON values or frames."""
    plain = {k: hash_rows(v) if isinstance(v, pl.DataFrame) else v for k, v in parts.items()}
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_rows(frame: pl.DataFrame) -> str:
    """Return the SHA-256 of a frame's column names and rows, in order."""
    return hashlib.sha256(f"{frame.columns}\n{frame.write_ndjson()}".encode()).hexdigest()
