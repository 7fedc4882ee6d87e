"""What `podcast-assets demo` prints at the end: one screen of results, and what to do next."""

import os
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.demo_evaluation import Evaluation, count_samples, evaluate
from podcast_assets.common.wording import count_noun
from podcast_assets.stages.report import BatchReport, EpisodeReport, show_warnings
from podcast_assets.store.schema import HF_SHARDS, RAW_AUDIO
from podcast_assets.store.store import Store, sealed_key, table_key

EXCERPT_SEGMENTS = 3


def show_demo(report: BatchReport, store: Store, console: Console) -> None:
    """Print the episodes with their error rates, the beginning of a transcript, where the results are, and the next steps."""
    try:
        measured = {e.source: e for e in evaluate(store, report.batch)}
        if not measured and any(e.status == "done" for e in report.episodes):
            console.print(
                "the store has the sample batch of another version, which cannot be compared: take an empty --store"
            )
    except ImportError as error:
        measured = {}
        console.print(f"to compare with the references: pip install 'podcast-assets[demo]' ({error})", markup=False)
    console.print(_episodes(report, measured))
    for episode in report.episodes:
        if episode.status == "failed":
            reason = Text(f"{episode.source}: {(episode.error or '').removeprefix('ingest: ')}", "red")
            console.print(reason, no_wrap=True, overflow="ellipsis")
    done = [e for e in report.episodes if e.status == "done"]
    if done:
        _show_excerpt(max(done, key=lambda e: len(e.text)), report.batch, store, console)
    if report.shards:
        _show_results(report, store, console, loadable=bool(measured))
    show_warnings([w for w in report.warnings if w.kind != "failed"], console)  # what failed stands above
    console.print(Text.assemble(("next:        ", "bold"), "make dev opens the Dagster UI on http://127.0.0.1:3000"))


def _episodes(report: BatchReport, measured: dict[str, Evaluation]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("episode", overflow="ellipsis", no_wrap=True)
    table.add_column("status")
    for name in ("seconds", "speakers", "words", *(("WER", "DER") if measured else ())):
        table.add_column(name, justify="right")
    for e in report.episodes:
        found = measured.get(e.source)
        speakers = f"{e.speakers} of {found.speakers_expected}" if found else str(e.speakers or "")
        rates = (f"{found.wer:.3f}", f"{found.der:.3f}") if found else ("", "") if measured else ()
        status = Text(e.status, {"done": "green", "failed": "red"}.get(e.status, ""))
        seconds = f"{e.duration:.1f}" if e.duration else ""
        table.add_row(Text(e.source), status, seconds, speakers, str(len(e.text.split()) or ""), *rates)
    if everything := measured.get("all"):
        speakers = f"{everything.speakers} of {everything.speakers_expected}"
        seconds, words = f"{report.hours * 3600:.1f}", str(sum(len(e.text.split()) for e in report.episodes))
        table.add_row("all", "", seconds, speakers, words, f"{everything.wer:.3f}", f"{everything.der:.3f}")
    return table


def _show_excerpt(episode: EpisodeReport, batch: str, store: Store, console: Console) -> None:
    samples = store.read_table(table_key("hf_shards", batch), HF_SHARDS)
    audio = store.read_table(table_key("raw_audio", batch), RAW_AUDIO)
    if samples is None or audio is None:
        return
    title = audio.filter(episode_id=episode.episode_id)["title"][0] or episode.source
    console.print()
    console.print(Text(title, "bold"), no_wrap=True, overflow="ellipsis")
    rows = samples.filter(episode_id=episode.episode_id).sort("start").head(EXCERPT_SEGMENTS)
    table = Table.grid(padding=(0, 2, 0, 0))
    for start, speaker, text in rows.select("start", "speaker", "text").iter_rows():
        table.add_row(f"{int(start) // 60}:{int(start) % 60:02d}", Text(speaker or "", "cyan"), Text(text))
    console.print(table)
    console.print()


def _show_results(report: BatchReport, store: Store, console: Console, *, loadable: bool) -> None:
    samples = store.read_table(table_key("hf_shards", report.batch), HF_SHARDS)
    assert samples is not None
    folder = f"{store.path(sealed_key(report.batch, samples['shard'][0].split('/')[0]))}"
    pattern = f"{folder}/data/*/*/*.tar"
    loaded = f", {count_noun(count_samples(pattern), 'sample')} loaded with datasets" if loadable else ""
    for name, text in (
        ("transcripts: ", _relative(str(store.path(f"transcripts/{report.batch}")))),
        ("dataset:     ", _relative(folder) + loaded),
    ):
        console.print(Text.assemble((name, "bold"), text), soft_wrap=True)
    for line in (
        "from datasets import load_dataset; from podcast_assets.release.readers.features import features",
        f'ds = load_dataset("webdataset", data_files="{_relative(pattern)}", features=features(), split="train")',
    ):
        console.print(line, soft_wrap=True, markup=False)


def _relative(path: str) -> str:
    """Shorten a path below the current folder."""
    here = Path.cwd()
    return os.path.relpath(path, here) if Path(path).is_relative_to(here) else path
