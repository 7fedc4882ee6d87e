"""Marked fake secrets, and the search for them in everything that commands have written."""

import base64
import gzip
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pyarrow.parquet as pq


@dataclass
class Marks:
    """Makes secrets that occur nowhere else."""

    made: dict[str, str] = field(default_factory=dict)
    """Secret → what it is."""

    def new(self, what: str, prefix: str = "") -> str:
        secret = f"{prefix}zq{len(self.made):03d}{''.join(c for c in what if c.isalnum())}qz"
        self.made[secret] = what
        return secret

    def url(self, what: str, scheme: str, address: str) -> str:
        """A URL whose user, password and query are secrets; `address` is host, port and path."""
        user, password, query = (self.new(f"{part} of {what}") for part in ("user", "password", "query"))
        return f"{scheme}://{user}:{password}@{address}?token={query}"

    def found_in(self, data: bytes) -> set[str]:
        """Say what the secrets are that some bytes contain as text, percent-encoded or in base64."""
        return {what for secret, what in self.made.items() if any(form in data for form in _forms(secret))}


def _forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    yield quote(secret, safe="").encode()
    for before in range(3):  # base64 depends on the number of bytes before
        coded = base64.b64encode(b"x" * before + secret.encode())
        yield coded[4 : len(coded) // 4 * 4 - 4]


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Iterate over all files below a folder: tables by column, others as they are, databases and gzip also uncompressed."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        name, data = path.relative_to(folder).as_posix(), path.read_bytes()
        if data[:4] == b"PAR1":
            yield from _table(name, path)
            continue
        yield name, data
        if data[:16] == b"SQLite format 3\0":
            yield from _database(name, path)
        elif data[:2] == b"\x1f\x8b":
            yield name, gzip.decompress(data)


def _table(name: str, path: Path) -> Iterator[tuple[str, bytes]]:
    for key, value in (pq.read_metadata(path).metadata or {}).items():
        yield f"{name}[{key.decode()}]", value
    table = pl.read_parquet(path)
    for column in table.columns:
        yield f"{name}[{column}]", repr(table[column].to_list()).encode()


def _database(name: str, path: Path) -> Iterator[tuple[str, bytes]]:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in connection.execute(f'select * from "{table}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield f"{name}[{table}]", data
                    if data[:1] == b"\x78":  # Dagster's snapshots
                        yield f"{name}[{table}]", zlib.decompress(data)
    finally:
        connection.close()
