"""Accuracy of the sample batch against its references: WER by jiwer, DER by pyannote.metrics, shards by datasets."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import cast

import polars as pl
from rich.console import Console
from rich.table import Table

from podcast_assets.demo import load_reference
from podcast_assets.store.schema import HF_SHARDS, RAW_AUDIO
from podcast_assets.store.store import Store, table_key

COLLAR = 0.25
"""Seconds around each reference boundary that DER does not count, in all."""


@dataclass(frozen=True)
class Evaluation:
    """Error rates of one episode, or of all together."""

    source: str
    words: int
    wer: float
    der: float
    speakers: int
    speakers_expected: int


def evaluate(store: Store, batch: str) -> list[Evaluation]:
    """Error rates of every episode of the sample batch that is done; the last entry is all of them together.

    Raises:
        ImportError: the extra `demo` is not installed.
    """
    import jiwer
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    audio = _read_table(store, "raw_audio", batch).filter(status="done")
    samples = _read_table(store, "hf_shards", batch).sort("episode_id", "start")
    rate = DiarizationErrorRate(collar=COLLAR)
    results, said, heard = [], list[str](), list[str]()
    for episode_id, source, duration in audio.select("episode_id", "source", "duration").iter_rows():
        scored = Timeline([Segment(0, duration)])
        reference = load_reference(PurePosixPath(source).stem)
        rows = samples.filter(episode_id=episode_id)
        expected, found = Annotation(), Annotation()
        for n, turn in enumerate(reference):
            expected[Segment(turn["start"], turn["end"]), n] = turn["speaker"]
        for n, (start, end, speaker) in enumerate(rows.select("start", "end", "speaker").iter_rows()):
            found[Segment(start, end), n] = speaker
        said.append(_normalize_text(" ".join(t["text"] for t in reference)))
        heard.append(_normalize_text(" ".join(rows["text"])))
        results.append(
            Evaluation(
                source,
                len(said[-1].split()),
                jiwer.wer(said[-1], heard[-1]),
                cast("float", rate(expected, found, uem=scored)),
                rows["speaker"].n_unique(),
                len(expected.labels()),
            )
        )
    if results:
        results.append(
            Evaluation(
                "all",
                sum(r.words for r in results),
                jiwer.wer(said, heard),
                float(abs(rate)),
                sum(r.speakers for r in results),
                sum(r.speakers_expected for r in results),
            )
        )
    return results


def show_evaluation(store: Store, batch: str, console: Console) -> None:
    """Print the error rates, load the shards with datasets, and print the lines that do it."""
    try:
        results = evaluate(store, batch)
    except ImportError as error:
        console.print(f"to measure against the references: pip install 'podcast-assets[demo]' ({error})")
        return
    console.rule("against the exact references")
    table = Table()
    for name in ("episode", "words", "WER", "DER (collar 0.25 s)", "speakers"):
        table.add_column(name, justify="left" if name == "episode" else "right")
    for r in results:
        table.add_row(r.source, str(r.words), f"{r.wer:.3f}", f"{r.der:.3f}", f"{r.speakers} of {r.speakers_expected}")
    console.print(table)
    console.rule("load it")
    rows = _read_table(store, "hf_shards", batch)
    folder = store.path(f"sealed/{batch}/{rows['shard'][0].split('/')[0]}")
    pattern = f"{folder}/data/*/*/*.tar"
    console.print(
        "from datasets import load_dataset; from podcast_assets.release.readers.features import features\n"
        f'ds = load_dataset("webdataset", data_files="{pattern}", features=features(), split="train")',
        soft_wrap=True,
        markup=False,
    )
    first, count = load(pattern)
    console.print(
        f"{count} samples; the first: {first['json']['speaker']} at {first['json']['start']:.2f} s: "
        f"{first['json']['text']!r}, {len(first['flac'])} bytes of flac",
        markup=False,
    )


def load(pattern: str) -> tuple[dict[str, dict[str, object]], int]:
    """Load the first sample and count the samples with `datasets`."""
    import datasets

    from podcast_assets.release.readers.features import features

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(
            "webdataset",
            data_files=pattern,
            features=features(),
            split="train",
            streaming="://" not in pattern,  # datasets 5 gives s3fs an option for streaming that it does not know
            cache_dir=cache,
        )
        samples = list(loaded)
    return samples[0], len(samples)


def _normalize_text(text: str) -> str:
    """Words in lower case without punctuation, as both sides are compared."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def _read_table(store: Store, asset: str, batch: str) -> pl.DataFrame:
    columns = {"raw_audio": RAW_AUDIO, "hf_shards": HF_SHARDS}[asset]
    table = store.read_table(table_key(asset, batch), columns)
    if table is None:
        raise FileNotFoundError(f"{asset} of {batch} is not materialized")
    return table
