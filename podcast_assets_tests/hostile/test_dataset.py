"""Datasets that somebody else made, with any list of shards and any tables: one message, and the exit code 1."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from podcast_assets.cli.main import main
from podcast_assets.release.readers import sample_index
from podcast_assets_tests.release.published import Published, publish

pytestmark = pytest.mark.readers

SHARD = "data/en/train/audio_000001.tar"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Published:
    return publish(tmp_path_factory.mktemp("made") / "dataset")


@pytest.fixture
def folder(made: Published, tmp_path: Path) -> Path:
    """A copy to be changed."""
    shutil.copytree(made.folder, tmp_path / "dataset")
    for path in (tmp_path / "dataset").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return tmp_path / "dataset"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["dataset", *map(str, arguments)])


def one_message(result: Result, *, starts: str) -> str:
    """The only line on standard error of a command that ended as it should; no exception has left it."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith(starts)
    assert line.isprintable()
    assert len(line) < 500
    return line


LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    "lists in lists": lambda _: "[" * 100_000,
    "objects in objects": lambda _: '{"path":' * 100_000,
    "deep in a part": lambda s: json.dumps(s | {"parts": 1})[:-2] + "[" * 5000 + "]" * 5000 + "}",
    "a large number": lambda s: json.dumps(s | {"samples": 10**30}),
    "a number of 5,000 digits": lambda s: json.dumps(s | {"bytes": 7})[:-1] + ',"bytes":' + "9" * 5000 + "}",
    "a negative number": lambda s: json.dumps(s | {"samples": -1}),
    "a text": lambda s: json.dumps(s | {"samples": "12"}),
    "a boolean": lambda s: json.dumps(s | {"samples": True}),
    "no number": lambda s: json.dumps(s | {"hours": float("nan")}),
    "an infinite number": lambda s: json.dumps(s | {"hours": 1})[:-1] + ',"hours":1e999}',
    "null": lambda s: json.dumps(dict.fromkeys(s)),
    "only null": lambda _: "null",
    "no parts": lambda s: json.dumps(s | {"parts": None}),
    "parts that are none": lambda s: json.dumps(s | {"parts": [1, "x", None]}),
    "an unknown grain": lambda s: json.dumps(s | {"grain": "words"}),
    "a path out of the dataset": lambda s: json.dumps(s | {"path": "../../etc/passwd"}),
    "an absolute path": lambda s: json.dumps(s | {"path": "/etc/passwd"}),
    "a language out of the dataset": lambda s: json.dumps(s | {"language": ".."}),
    "a batch out of the dataset": lambda s: json.dumps(s | {"parts": [s["parts"][0] | {"batch": "../../b"}]}),
    "escapes": lambda s: json.dumps(s | {"path": "\x1b[31mred\n.tar"}),
    "a key with escapes": lambda s: json.dumps(s | {"\x1b[2J\n" * 1000: 1}),
    "half of a character": lambda s: json.dumps(s | {"split": "\ud800"}),
}


@pytest.mark.parametrize("change", LINES.values(), ids=LINES.keys())
def test_lists_of_shards(folder: Path, change: Callable[[dict[str, Any]], str]) -> None:
    path = folder / "shards.jsonl"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([*rest, change(json.loads(first))]))
    expected = f"line {len(rest) + 1} of shards.jsonl is not a shard: "
    one_message(run("sample", folder), starts=f"podcast-assets: {expected}")
    verified = run("verify", folder, "--json")
    assert verified.exit_code == 1
    (problem,) = json.loads(verified.stdout)["troubles"]
    assert problem["what"].startswith(expected)


def test_a_list_that_is_not_utf8(folder: Path) -> None:
    path = folder / "shards.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"train"', b'"tr\xffin"', 1))
    one_message(run("sample", folder), starts="podcast-assets: line ")


def replaced(column: str, value: Any, dtype: Any = None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda t: t.with_columns(pl.lit(value, dtype=dtype).alias(column))


TABLES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "a negative offset": replaced("audio_offset", -5),
    "an offset before the header": replaced("audio_offset", 100),
    "an offset without end": replaced("audio_offset", 2**63 - 1),
    "an offset that is unsigned": replaced("audio_offset", 2**64 - 1, pl.UInt64),
    "an offset of text": replaced("audio_offset", "abc"),
    "an offset that is null": replaced("audio_offset", None, pl.Int64),
    "an offset of no type": replaced("audio_offset", None),
    "a negative size": replaced("audio_size", -1),
    "a size without end": replaced("audio_size", 2**62),
    "a size of fractions": replaced("audio_size", 0.5),
    "a list for the offset": replaced("audio_offset", [1]),
    "a structure for the text": lambda t: t.with_columns(pl.struct("text").alias("text")),
    "bytes for the text": lambda t: t.with_columns(pl.col("text").cast(pl.Binary)),
    "a number for the id": replaced("segment_id", 5),
    "an id out of the folder": replaced("segment_id", "../../x"),
    "an id with escapes": replaced("segment_id", "\x1b[31m\nx"),
    "an id that is null": replaced("segment_id", None, pl.String),
    "an id of a megabyte": replaced("segment_id", "x" * 1_000_000),
    "a duration that is null": replaced("duration", None, pl.Float64),
    "a duration of text": replaced("duration", "long"),
    "no duration": lambda t: t.drop("duration"),
    "no id": lambda t: t.drop("segment_id"),
    "no hash": lambda t: t.drop("audio_sha256"),
    "a hash that is null": replaced("audio_sha256", None, pl.String),
    "a score of text": replaced("snr_db", "loud"),
    "structures for the shard": lambda t: t.with_columns(pl.struct("shard").alias("shard")),
    "lists for the shard": lambda t: t.with_columns(pl.concat_list("shard").alias("shard")),
    "no rows": lambda t: t.head(0),
    "no columns": lambda _: pl.DataFrame({"x": [1]}),
}
SEEN_BY_SAMPLE_ONLY = {
    "a structure for the text",
    "bytes for the text",
    "a duration that is null",
    "a duration of text",
    "no duration",
    "a score of text",
}
"""Columns that a verification does not read."""


@pytest.mark.parametrize("name", TABLES)
def test_tables(folder: Path, name: str) -> None:
    for path in folder.glob("metadata/*/*.parquet"):
        TABLES[name](pl.read_parquet(path)).write_parquet(path)
    one_message(run("sample", folder, "-n", 3, "--save", folder.parent / "saved"), starts="podcast-assets: ")
    assert not (folder.parent / "saved").exists()
    verified = run("verify", folder)
    assert verified.exit_code == (0 if name in SEEN_BY_SAMPLE_ONLY else 1), verified.output
    assert verified.exception is None or isinstance(verified.exception, SystemExit)


def test_a_text_that_is_not_utf8(folder: Path) -> None:
    for path in folder.glob("metadata/*/*.parquet"):
        table = pq.read_table(path)
        texts = pa.array([b"\xff\xfe"] * table.num_rows, pa.binary()).view(pa.string())
        pq.write_table(table.set_column(table.schema.get_field_index("text"), "text", texts), path)
    line = one_message(run("sample", folder), starts="podcast-assets: ")
    assert "Invalid UTF8" in line


def test_structures_in_structures(folder: Path) -> None:
    deep = pa.array([1])
    for _ in range(400):
        deep = pa.StructArray.from_arrays([deep], ["x"])
    for path in folder.glob("metadata/*/*.parquet"):
        table = pq.read_table(path)
        column = pa.chunked_array([deep.take(pa.array([0] * table.num_rows))])
        pq.write_table(table.append_column("deep", column), path)
    line = one_message(run("sample", folder), starts="podcast-assets: ")
    assert "too deeply nested" in line


def test_a_few_kilobytes_that_take_all_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_index, "_MEMORY", 1 << 28)
    for path in folder.glob("metadata/*/*.parquet"):
        table = pl.read_parquet(path).with_columns(text=pl.lit("x" * 1_000_000))
        pl.concat([table] * (1_000 // table.height)).write_parquet(path, use_pyarrow=True)
        assert path.stat().st_size < 2_000_000
    line = one_message(run("sample", folder), starts="podcast-assets: ")
    assert "it needs more than 0.25 GiB of memory" in line
    assert len("x" * (1 << 29)) == 1 << 29, "the limit is lifted again"


def test_columns_of_types_that_can_be_cast_are_no_damage(folder: Path) -> None:
    for path in folder.glob("metadata/*/*.parquet"):
        table = pl.read_parquet(path)
        table.cast({"audio_offset": pl.UInt32, "duration": pl.Float32, "snr_db": pl.Int16}).write_parquet(path)
    assert run("sample", folder).exit_code == 0
    assert run("verify", folder).exit_code == 0


def test_a_shard_that_cannot_be_opened(folder: Path) -> None:
    for path in folder.rglob("*.tar"):
        path.unlink()
    line = one_message(run("sample", folder), starts=f"podcast-assets: {folder} is damaged: data/")
    assert "No such file" in line


def test_a_sample_that_is_no_audio_is_not_saved(folder: Path) -> None:
    for path in folder.rglob("*.tar"):
        path.write_bytes(path.read_bytes().replace(b".flac\0", b".html\0"))
    one_message(run("sample", folder, "--save", folder.parent / "saved"), starts="podcast-assets: data/")
    assert not (folder.parent / "saved").exists()


def change_header(path: Path, start: int, field: int, value: bytes) -> None:
    """Change a field of a tar header, and its checksum to match."""
    data = bytearray(path.read_bytes())
    header = data[start : start + 512]
    header[field : field + len(value)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data[start : start + 512] = header
    path.write_bytes(data)


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"77777777777\0"])
def test_sizes_in_a_tar(folder: Path, size: bytes) -> None:
    change_header(folder / SHARD, 0, 124, size)
    verified = run("verify", folder)
    assert verified.exit_code == 1
    assert f"{SHARD}: not a readable tar after 0 samples" in verified.stdout


def test_a_name_in_a_tar_that_is_not_utf8(folder: Path, made: Published) -> None:
    audio = made.metadata.filter(shard=SHARD)["audio_offset"].min()
    change_header(folder / SHARD, int(str(audio)) - 512, 0, b"\xff\xfe")
    for options in ((), ("--json",)):
        verified = run("verify", folder, *options)
        assert verified.exit_code == 1
        assert r"\xff" in verified.stdout
