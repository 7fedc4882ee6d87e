"""Tables, feeds and datasets as an attacker makes them, each told by a seed, and what may come of them.

`check` raises for anything but a result or one message about the input; the tests run a few seconds of it, `benchmarks/fuzz.py` as
much as one likes.
"""

import datetime
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.common.limited_calls import Limit
from podcast_assets.intake.batch_metadata import MetadataSource, read_metadata
from podcast_assets.intake.feeds import poll
from podcast_assets.intake.feeds.feed import read_feed
from podcast_assets.intake.feeds.subscriptions import URL_COLUMNS
from podcast_assets.intake.links import read_link_list
from podcast_assets.intake.metadata import to_json
from podcast_assets.intake.table_reader import read_rows
from podcast_assets.release.published import DamagedDataset
from podcast_assets.release.readers.published_dataset import open_dataset
from podcast_assets.release.readers.sample import draw_samples
from podcast_assets.release.readers.verify import verify_dataset
from podcast_assets_tests.hostile.mutations import mutated
from podcast_assets_tests.intake.feeds.shapes import FULL, rss

Random = np.random.Generator
WORDS = (
    *("meta_id", "META ID", "url", "title", "guid", "podcast", "language", "transcripts", "license", "hours", "tracks"),
    *(
        "a",
        "ep1",
        "ep1.mp3",
        "e\u0301",
        "\u202e",
        "\x00",
        "\x1b[31m",
        "\n",
        "\r\n",
        '"',
        "'",
        ",",
        ";",
        "\ufeff",
        "\U0001f600",
    ),
    *("1", "1.0", "01", "-0", "1e400", "nan", "inf", "true", "null", "9" * 400, "=1+1", "../../x", "/etc/passwd"),
    *("http://[", "https://x.example/1.mp3", "file:///etc/passwd", "javascript:1", "{", "[", "<", "&", "x" * 5_000),
)
TAGS = (
    *(
        "item",
        "title",
        "guid",
        "link",
        "enclosure",
        "pubDate",
        "itunes:duration",
        "itunes:new-feed-url",
        "media:content",
    ),
    *(
        "podcast:transcript",
        "podcast:person",
        "podcast:liveItem",
        "podcast:guid",
        "atom:link",
        "x",
        "channel",
        "rss",
        "image",
    ),
)
ATTRIBUTES = (
    "url",
    "href",
    "type",
    "length",
    "rel",
    "xml:base",
    "language",
    "status",
    "role",
    "a",
    "xmlns",
    "encoding",
)


def pick(rng: Random, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def text(rng: Random) -> str:
    return "".join(pick(rng, WORDS) for _ in range(int(rng.integers(0, 4))))


def value(rng: Random, depth: int = 0) -> Any:
    """A value that JSON supports, sometimes nested far too deep."""
    kind = int(rng.integers(0, 12))
    if kind == 0 and depth == 0:
        found: Any = 1
        for _ in range(int(rng.integers(20, 2_000))):
            found = [found] if rng.random() < 0.5 else {"a": found}
        return found
    if kind < 3 and depth < 5:
        return [value(rng, depth + 1) for _ in range(int(rng.integers(0, 4)))]
    if kind < 5 and depth < 5:
        return {text(rng): value(rng, depth + 1) for _ in range(int(rng.integers(0, 4)))}
    return pick(
        rng,
        (
            None,
            True,
            int(rng.integers(-(2**62), 2**62)),
            10 ** int(rng.integers(0, 400)),
            float("nan"),
            float("inf"),
            1e-300,
            text(rng),
            text(rng),
        ),
    )


def column(rng: Random, rows: int) -> pa.Array:
    """A column of any type."""
    match int(rng.integers(0, 12)):
        case 0:
            return pa.array(rng.integers(-5, 5, rows))
        case 1:
            return pa.array(pick(rng, (rng.normal(0, 1e300, rows), [np.inf] * rows, [np.nan] * rows)))
        case 2:
            return pa.array([rng.bytes(int(rng.integers(0, 50))) for _ in range(rows)], pa.binary())
        case 3:
            return pa.array(rng.integers(-(2**62), 2**62, rows)).cast(
                pick(rng, (pa.timestamp("us"), pa.time64("us"))), safe=False
            )
        case 4:
            return pa.nulls(rows)
        case 5:
            lengths = rng.integers(0, 2_000_000 if rng.random() < 0.2 else 5, rows)
            ends = np.concatenate([[0], np.cumsum(lengths)])
            return pa.LargeListArray.from_arrays(ends, np.zeros(ends[-1], np.int8))
        case 6 | 7:
            found = pa.array(rng.integers(0, 9, rows))
            for _ in range(int(rng.integers(1, 99))):
                found = pa.StructArray.from_arrays([found], [pick(rng, ("a", "b.c", ""))])
            return found
        case 8:
            return pa.array([datetime.date(1, 1, 1)] * rows).dictionary_encode()
        case _:
            return pa.array([text(rng).encode("utf-8", "replace").decode() for _ in range(rows)])


def table(seed: int) -> tuple[str, bytes]:
    """Name and content of a table."""
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(0, 20))
    kind = pick(rng, ("parquet", "parquet", "csv", "tsv", "jsonl", "ndjson"))
    if kind == "parquet":
        names = [pick(rng, WORDS[:14]).encode("utf-8", "replace").decode() for _ in range(int(rng.integers(1, 6)))]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_arrays([column(rng, rows) for _ in names], names=names), out)
        data = out.getvalue()
    elif kind in ("csv", "tsv"):
        separator, end = pick(rng, (",", ";", "\t", "|", ":", " ")), pick(rng, ("\n", "\r\n", "\r", "\n\n"))
        lines = [separator.join(text(rng) for _ in range(int(rng.integers(1, 6)))) for _ in range(rows)]
        header = separator.join(pick(rng, WORDS[:14]) for _ in range(4))
        data = end.join([header, *lines]).encode(pick(rng, ("utf-8", "utf-16", "cp1252", "utf-8-sig")), "replace")
    else:
        records = [{pick(rng, WORDS[:11]): value(rng) for _ in range(4)} for _ in range(rows)]
        data = "\n".join(dumps(r) for r in records).encode("utf-8", "replace")
    return f"m.{kind}", mutated(data, seed) if rng.random() < 0.5 and data else data


def dumps(record: Any) -> str:
    """JSON, also of what is nested deeper than Python's stack."""
    try:
        return json.dumps(record)
    except RecursionError:
        return '{"url": ' + "[" * 5_000 + "]" * 5_000 + "}"


def feed(seed: int) -> bytes:
    """Content of a feed."""
    rng = np.random.default_rng(seed)

    def element(depth: int) -> str:
        tag = pick(rng, TAGS)
        attributes = " ".join(f'{pick(rng, ATTRIBUTES)}="{text(rng)}"' for _ in range(int(rng.integers(0, 4))))
        inner = "".join(element(depth + 1) for _ in range(int(rng.integers(0, 5)))) if depth < 5 else ""
        return f"<{tag} {attributes}>{pick(rng, ('', text(rng), '<![CDATA[', ']]>', '<!--', '&a;', '&#0;'))}{inner}" + (
            f"</{tag}>" if rng.random() < 0.9 else ""
        )

    declaration = pick(
        rng,
        (
            '<?xml version="1.0"?>',
            '<?xml version="1.0" encoding="utf-7"?>',
            '<!DOCTYPE r [<!ENTITY a "&a;&a;">]>',
            '<!DOCTYPE r SYSTEM "file:///etc/passwd">',
            "",
        ),
    )
    made = (
        rss(*(element(0) for _ in range(int(rng.integers(0, 30)))), declaration=declaration)
        if rng.random() < 0.7
        else FULL
    )
    return mutated(made, seed) if rng.random() < 0.5 else made


def change_dataset(folder: Path, seed: int) -> None:
    """Change a file of a dataset that is read as text or as a table."""
    rng = np.random.default_rng(seed)
    path = pick(rng, sorted([folder / "shards.jsonl", *folder.glob("metadata/*/*.parquet")]))
    data = path.read_bytes()
    if rng.random() < 0.4:
        path.write_bytes(mutated(data, seed))
    elif path.suffix == ".jsonl":
        lines = [json.loads(line) for line in data.splitlines()]
        shard = pick(rng, lines)
        where = shard if rng.random() < 0.7 else shard["parts"][0]
        where[pick(rng, list(where))] = value(rng)
        path.write_text("\n".join(map(dumps, lines)), errors="replace")
    else:
        made = pq.read_table(io.BytesIO(data))
        at = int(rng.integers(made.num_columns))
        pq.write_table(made.set_column(at, made.column_names[at], column(rng, made.num_rows)), path)


def check_table(seed: int, folder: Path) -> str:
    """Read a table as metadata, as a list of URLs and as a list of feeds."""
    name, data = table(seed)
    path = folder / name
    path.write_bytes(data)
    found = read_metadata(["a.mp3", "ep1.mp3"], [MetadataSource(name, path)], "meta_id")
    texts = [to_json(row) for row in found.joined.rows.values()]
    outcomes = ["joined" if texts else "broken" if found.broken or found.joined.broken else "nothing"]
    for read in (lambda: read_link_list(name, data).links, lambda: read_rows(name, data, URL_COLUMNS)):
        try:
            outcomes.append("rows" if read() else "nothing")
        except BadInput as error:
            assert str(error)
            outcomes.append("refused")
    return " ".join(outcomes)


def check_feed(seed: int, folder: Path) -> str:
    """Read a feed."""
    try:
        found = poll._READER.call(Limit("it", 20), read_feed, feed(seed), "https://x.example/feed")
    except BadInput as error:
        assert str(error)
        return "refused"
    for item in found.items:
        json.dumps(found.row(item, "https://x.example/feed"))
    return f"{'some' if found.items else 'no'} episodes"


def check_dataset(seed: int, folder: Path, made: Path) -> str:
    """Draw samples from a dataset, and verify it."""
    shutil.copytree(made, folder / "dataset")
    for path in (folder / "dataset").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    change_dataset(folder / "dataset", seed)
    dataset = open_dataset(str(folder / "dataset"))
    try:
        drawn = f"{len(list(draw_samples(dataset, 3, seed=seed)))} drawn"
    except (DamagedDataset, Misconfigured) as error:
        assert str(error)
        drawn = "refused"
    try:
        return f"{drawn}, {'damaged' if verify_dataset(dataset).troubles else 'whole'}"
    except DamagedDataset:
        return f"{drawn}, refused"


def checks(made: Path) -> dict[str, Callable[[int, Path], str]]:
    """What is read → its check. `made` is a dataset."""
    return {"table": check_table, "feed": check_feed, "dataset": lambda seed, folder: check_dataset(seed, folder, made)}
