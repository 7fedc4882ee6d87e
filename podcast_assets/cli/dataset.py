"""`podcast-assets dataset …`: verify and sample a published dataset."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import count_noun, output, print_line
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from podcast_assets.release.published import PublishedShard
    from podcast_assets.release.readers.sample import AudioSample
    from podcast_assets.release.readers.verify import Problem

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
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on standard output.")
def verify_dataset(where: str, as_json: bool) -> None:
    """Compare every shard of the dataset at WHERE with shards.jsonl and the tables. Exits with 1 if they differ."""
    from podcast_assets.release.readers.opened import open_dataset
    from podcast_assets.release.readers.verify import verify_dataset

    def watch(shard: "PublishedShard", troubles: "list[Problem]") -> None:
        if not as_json:
            said = ("damaged", "red") if troubles else (f"{count_noun(shard.samples, 'sample')}, ok", "green")
            print_line(f"{shard.path}: ", said)

    opened = open_dataset(where)
    found = verify_dataset(opened, watch)
    if as_json:
        click.echo(json.dumps({"dataset": opened.where, **asdict(found)}, ensure_ascii=False))
    else:
        for trouble in found.troubles:
            output.print(Text.assemble((trouble.path, "red"), f": {trouble.what}"), soft_wrap=True)
        counts = f"{count_noun(found.shards, 'shard')}, {count_noun(found.samples, 'sample')}"
        size = f"{counts}, {found.hours:.2f} h, {found.bytes:,} bytes"
        output.print(Text(opened.where), soft_wrap=True)
        if found.troubles:
            output.print(Text(f"listed: {size}; {count_noun(len(found.troubles), 'problem')}", "red"))
            output.print("Download these files again; where they were published, release again.")
        else:
            output.print(Text(f"{size}; all is well"))
    if found.troubles:
        sys.exit(1)


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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per sample on standard output.")
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
    """Print random samples of the dataset at WHERE: text, speaker and scores. Only their own bytes are read."""
    from podcast_assets.release.readers.opened import open_dataset
    from podcast_assets.release.readers.sample import draw_samples

    for heard in draw_samples(open_dataset(where), count, language=language, split=split, seed=seed):
        if as_json:
            click.echo(json.dumps(heard.row, ensure_ascii=False))
        else:
            _print_sample(heard.row)
        if save:
            _save_sample(heard, save)
        if play:
            _play_sample(heard)


def _print_sample(row: dict[str, Any]) -> None:
    figures = ", ".join(form.format(row[column]) for column, form in _SCORES if row.get(column) is not None)
    judged = (
        "kept" if row.get("keep") else f"not kept: {', '.join(row.get('reject_reasons') or []) or 'no reason given'}"
    )
    speaker = row["speaker"] or "unknown speaker"
    about = "; ".join(filter(None, (f"{row['language']}, {speaker}, {row['duration']:.1f} s", figures, judged)))
    output.print(Text(row["segment_id"], "bold"), soft_wrap=True)
    for line in (about, row["text"] or "(no text)"):
        output.print(Text(f"  {line}"), soft_wrap=True)


def _save_sample(heard: "AudioSample", folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(heard.row["segment_id"]).name
    (folder / f"{name}.{heard.suffix}").write_bytes(heard.audio)
    (folder / f"{name}.json").write_text(json.dumps(heard.row, ensure_ascii=False, indent=1) + "\n")


def _play_sample(heard: "AudioSample") -> None:
    import io

    import soundfile

    try:
        import sounddevice

        samples, rate = soundfile.read(io.BytesIO(heard.audio), dtype="float32")
        sounddevice.play(samples, rate)
        sounddevice.wait()
    except (ImportError, OSError, RuntimeError) as error:  # no PortAudio, or no device
        raise Misconfigured(f"cannot play audio on this machine ({error}): use --save FOLDER instead") from error
