"""1,000 files joined to a table of 100,000 rows x 168 columns: pandas' iterrows, and ours. Then a million rows x 200, as memory.

    python -m benchmarks.metadata [--rounds 3] [--million]

iterrows is what the system that this one replaces does: it reads the table, then looks at every row. Both begin at the file, and
what they find is compared. `--million` reads a table of a million rows in each format in a process of its own (Linux).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measured import compare, peak_memory
from podcast_assets.intake.metadata import join_metadata, open_metadata

ROWS, COLUMNS, FILES = 100_000, 168, 1_000


def part(start: int, stop: int, columns: int) -> pl.DataFrame:
    rng = np.random.default_rng(start)
    table: dict[str, object] = {"meta_id": [f"e{n:08d}" for n in range(start, stop)]}
    for c in range(columns - 1):
        table[f"c{c}"] = (
            rng.integers(0, 1_000, stop - start) if c % 2 else [f"text {c} {n % 97}" for n in range(start, stop)]
        )
    return pl.DataFrame(table)


def by_iterrows(path: Path, stems: list[str]) -> dict[str, dict[str, object]]:
    import pandas as pd

    names, found = set(stems), {}
    for _, row in pd.read_parquet(path).iterrows():
        if row["meta_id"] in names:
            found[row["meta_id"]] = row.to_dict()
    return found


def by_an_index(path: Path, stems: list[str]) -> dict[str, dict[str, object]]:
    """Convert every row to a dict first, as if one table served many batches."""
    import pandas as pd

    index = {row["meta_id"]: row.to_dict() for _, row in pd.read_parquet(path).iterrows()}
    return {stem: index[stem] for stem in stems}


def by_podcast_assets(path: Path, stems: list[str]) -> dict[str, dict[str, object]]:
    joined = join_metadata([f"{stem}.mp3" for stem in stems], [open_metadata("m.parquet", path)])
    return {name.removesuffix(".mp3"): row for name, row in joined.rows.items()}


def million(folder: Path, kind: str) -> Path:
    """Write a million rows x 200 in parts."""
    import pyarrow.parquet as pq

    path, writer = folder / f"m.{kind}", None
    with path.open("wb") as file:
        for start in range(0, 1_000_000, 50_000):
            table = part(start, start + 50_000, 200)
            if kind == "parquet":
                arrow = table.to_arrow()
                writer = writer or pq.ParquetWriter(file, arrow.schema, compression="zstd")
                writer.write_table(arrow)
            elif kind == "csv":
                file.write(table.write_csv(include_header=start == 0).encode())
            else:
                file.write(table.write_ndjson().encode())
        if writer:
            writer.close()
    return path


def alone(path: Path) -> Iterator[str]:
    began = time.perf_counter()
    joined = join_metadata([f"e{n:08d}.mp3" for n in range(0, 1_000_000, 15_625)], [open_metadata(path.name, path)])
    assert len(joined.rows) == 64
    assert all(name == f"{row['meta_id']}.mp3" for name, row in joined.rows.items())
    assert joined.ids_without_file == 1_000_000 - 64
    taken, peak = time.perf_counter() - began, peak_memory()
    yield f"| {path.suffix[1:]} | {path.stat().st_size / 1e6:,.0f} | {taken:.1f} | {peak:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        print(*alone(arguments.alone))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not arguments.million:
            path, stems = folder / "m.parquet", [f"e{n:08d}" for n in range(0, ROWS, ROWS // FILES)]
            part(0, ROWS, COLUMNS).write_parquet(path)
            assert by_podcast_assets(path, stems) == by_iterrows(path, stems)
            work = {
                "pandas.iterrows": lambda: by_iterrows(path, stems),
                "the same, every row a dict": lambda: by_an_index(path, stems),
                "ours": lambda: by_podcast_assets(path, stems),
            }
            compare(work, arguments.rounds, ROWS, "rows")
            return
        print("| a million rows x 200, 64 files | MB | s | peak, MB |\n|---|---|---|---|", flush=True)
        for kind in ("parquet", "csv", "jsonl"):
            path = million(folder, kind)
            result = subprocess.run(
                [sys.executable, "-m", "benchmarks.metadata", "--alone", path],
                capture_output=True,
                text=True,
                check=True,
            )
            print(result.stdout.strip(), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
