"""`podcast-assets dataset …`: verify and sample a published dataset."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import json_option, load_settings, output, print_json, print_line
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.wording import count_noun

if TYPE_CHECKING:
    from podcast_assets.release.published import PublishedShard
    from podcast_assets.release.readers.sample import AudioSample
    from podcast_assets.release.readers.verify import Problem, VerificationResult

_SCORES = (
    ("dnsmos_ovrl", "DNSMOS {:.2f}"),
    ("snr_db", "SNR {:.1f} dB"),
    ("source_bandwidth_hz", "bandwidth {:,.0f} Hz"),
)


@click.group()
def dataset() -> None:
    """Verify or sample a published dataset: a folder, s3://…, or owner/name on the Hub (HF_ENDPOINT, HF_TOKEN)."""


@dataset.command("verify")
@click.argument("where")
@json_option("the result as one JSON object")
def verify_dataset(where: str, as_json: bool) -> None:
    """Compare every shard of the dataset at WHERE with shards.jsonl and the tables. Exits with 1 if they differ."""
    from podcast_assets.release.readers.published_dataset import open_dataset
    from podcast_assets.release.readers.verify import verify_dataset

    def report_shard(shard: "PublishedShard", problems: "list[Problem]") -> None:
        if not as_json:
            state = ("damaged", "red") if problems else (f"{count_noun(shard.samples, 'sample')}, ok", "green")
            print_line(f"{shard.path}: ", state)

    load_settings()
    opened = open_dataset(where)
    result = verify_dataset(opened, report_shard)
    if as_json:
        print_json({"dataset": opened.where, **asdict(result)})
    else:
        _print_verification(opened.where, result)
    if result.troubles:
        sys.exit(1)


def _print_verification(where: str, result: "VerificationResult") -> None:
    for problem in result.troubles:
        output.print(Text.assemble((problem.path, "red"), f": {problem.what}"), soft_wrap=True)
    counts = f"{count_noun(result.shards, 'shard')}, {count_noun(result.samples, 'sample')}"
    size = f"{counts}, {result.hours:.2f} h, {result.bytes:,} bytes"
    output.print(Text(where), soft_wrap=True)
    if result.troubles:
        output.print(Text(f"listed: {size}; {count_noun(len(result.troubles), 'problem')}", "red"))
        output.print("Download these files again. If they are damaged where they are published, release again.")
    else:
        output.print(Text(f"{size}; no problems found"))


@dataset.command("sample")
@click.argument("where")
@click.option("-n", "count", type=click.IntRange(1), default=5, show_default=True, help="Number of samples.")
@click.option("--language", help="Only samples in this language (ISO 639-1).")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Only samples of this split.")
@click.option("--seed", type=int, help="Seed of the random choice.")
@click.option("--play", is_flag=True, help="Play each sample.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the audio and the row of each sample to this folder.",
)
@json_option("one JSON object per sample")
def sample(
    where: str,
    count: int,
    language: str | None,
    split: str | None,
    seed: int | None,
    play: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Print random samples of the dataset at WHERE: text, speaker and scores. Only their own bytes are read.

    Exits with 1 if the dataset is damaged.
    """
    from podcast_assets.release.published import DamagedDataset
    from podcast_assets.release.readers.published_dataset import open_dataset
    from podcast_assets.release.readers.sample import draw_samples

    load_settings()
    try:
        for drawn in draw_samples(open_dataset(where), count, language=language, split=split, seed=seed):
            if as_json:
                print_json(drawn.row, redact=False)
            else:
                _print_sample(drawn.row)
            if save:
                _save_sample(drawn, save)
            if play:
                _play_sample(drawn)
    except DamagedDataset as error:
        print_line((f"podcast-assets: {error}", "red"))
        sys.exit(1)


def _print_sample(row: dict[str, Any]) -> None:
    scores = ", ".join(form.format(row[column]) for column, form in _SCORES if row.get(column) is not None)
    reasons = ", ".join(row.get("reject_reasons") or []) or "no reason given"
    verdict = "kept" if row.get("keep") else f"not kept: {reasons}"
    speaker = row["speaker"] or "unknown speaker"
    summary = "; ".join(filter(None, (f"{row['language']}, {speaker}, {row['duration']:.1f} s", scores, verdict)))
    output.print(Text(row["segment_id"], "bold"), soft_wrap=True)
    for line in (summary, row["text"] or "(no text)"):
        output.print(Text(f"  {line}"), soft_wrap=True)


def _save_sample(sample: "AudioSample", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(sample.row["segment_id"]).name
    (folder / f"{name}.{sample.suffix}").write_bytes(sample.audio)
    (folder / f"{name}.json").write_text(json.dumps(sample.row, ensure_ascii=False, indent=1) + "\n")


def _play_sample(sample: "AudioSample") -> None:
    import io

    import soundfile

    try:
        import sounddevice

        samples, rate = soundfile.read(io.BytesIO(sample.audio), dtype="float32")
        sounddevice.play(samples, rate)
        sounddevice.wait()
    except (ImportError, OSError, RuntimeError) as error:  # no PortAudio, or no device
        raise Misconfigured(f"cannot play audio on this machine ({error}): use --save FOLDER instead") from error
