"""Accuracy on the sample batch: WER (jiwer) and DER (pyannote.metrics) against its references; its shards loaded."""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

import polars as pl

from podcast_assets.common.hashing import cached_sha256
from podcast_assets.demo import BATCH, load_reference
from podcast_assets.store.schema import HF_SHARDS, RAW_AUDIO
from podcast_assets.store.store import Store, table_key

if TYPE_CHECKING:
    from pyannote.core import Annotation

COLLAR = 0.25
"""Total seconds around each reference boundary that DER ignores."""


@dataclass(frozen=True)
class Evaluation:
    """Error rates of one episode, or of all episodes together."""

    source: str
    words: int
    wer: float
    der: float
    speakers: int
    speakers_expected: int


def evaluate(store: Store, batch: str) -> list[Evaluation]:
    """Compute the error rates of each finished episode of the sample batch, and of all together as the last entry.

    Episodes that differ from those of the package are left out: the sample batch of another version has other references.

    Raises:
        ImportError: the extra `demo` is not installed.
    """
    import jiwer
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    audio = _read_table(store, "raw_audio", batch).filter(status="done")
    samples = _read_table(store, "hf_shards", batch).sort("episode_id", "start")
    rate = DiarizationErrorRate(collar=COLLAR)
    results, references, hypotheses = [], list[str](), list[str]()
    for episode_id, source, duration, sha256 in audio.select("episode_id", "source", "duration", "sha256").iter_rows():
        if sha256 != _packaged_sha256(source):
            continue
        turns = load_reference(PurePosixPath(source).stem)
        rows = samples.filter(episode_id=episode_id)
        expected = _make_annotation((t["start"], t["end"], t["speaker"]) for t in turns)
        found = _make_annotation(rows.select("start", "end", "speaker").iter_rows())
        references.append(_normalize_text(" ".join(t["text"] for t in turns)))
        hypotheses.append(_normalize_text(" ".join(rows["text"])))
        results.append(
            Evaluation(
                source,
                len(references[-1].split()),
                jiwer.wer(references[-1], hypotheses[-1]),
                cast("float", rate(expected, found, uem=Timeline([Segment(0, duration)]))),
                rows["speaker"].n_unique(),
                len(expected.labels()),
            )
        )
    if results:
        results.append(
            Evaluation(
                "all",
                sum(r.words for r in results),
                jiwer.wer(references, hypotheses),
                float(abs(rate)),
                sum(r.speakers for r in results),
                sum(r.speakers_expected for r in results),
            )
        )
    return results


def count_samples(pattern: str) -> int:
    """Load the shards with `datasets`, and count their samples.

    Raises:
        ImportError: the extra `demo` is not installed.
    """
    import datasets

    from podcast_assets.release.readers.features import features

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as cache:
        loaded = datasets.load_dataset(
            "webdataset",
            data_files=pattern,
            features=features(),
            split="train",
            streaming="://" not in pattern,  # datasets 5 passes s3fs a streaming option that it does not know
            cache_dir=cache,
        )
        return sum(1 for _ in loaded)


def _packaged_sha256(source: str) -> str | None:
    file = BATCH / source
    return cached_sha256(file) if file.is_file() else None


def _make_annotation(turns: Iterable[tuple[float, float, str]]) -> "Annotation":
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for track, (start, end, speaker) in enumerate(turns):
        annotation[Segment(start, end), track] = speaker
    return annotation


def _normalize_text(text: str) -> str:
    """Reduce a text to lower-case words without punctuation."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def _read_table(store: Store, asset: str, batch: str) -> pl.DataFrame:
    columns = {"raw_audio": RAW_AUDIO, "hf_shards": HF_SHARDS}[asset]
    table = store.read_table(table_key(asset, batch), columns)
    if table is None:
        raise FileNotFoundError(f"{asset} of {batch} is not materialized")
    return table
