"""Make the batch of the miniature Whisper: five short episodes, their metadata and their references.

    python -m podcast_assets_tests.training.mini_whisper.batch.make

The bytes are reproducible with the same versions of espeak-ng, flite and PyAV.
"""

import argparse
import json
import random
import uuid
from datetime import date
from pathlib import Path

import polars as pl

from podcast_assets_tests import miniature
from podcast_assets_tests.training.mini_whisper.batch.encode import FORMATS, encode
from podcast_assets_tests.training.mini_whisper.batch.episodes import RATE, Episode, Plan, Studio, record

SEED = 20
PODCAST_NAMESPACE = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")
"""Namespace of podcast GUIDs: UUIDv5 of the feed's address without its scheme (Podcasting 2.0, <podcast:guid>)."""
FEED = "podcast-assets.example/{podcast}/feed.xml"
TRUNCATED_SHARE = 0.55

SCIENCE, TOWN = "Small Talk About Science", "City Light"
PLANS = {
    "mp3": Plan(
        "night-science", "The science of the night", SCIENCE, "2026-01-08", ("slt", "rms"), ("night", "science")
    ),
    "m4a": Plan("city-music", "Music in the city", TOWN, "2026-01-15", ("awb", "en-us+f4"), ("music", "city")),
    "mp4": Plan(
        "future-food", "Food of the future", SCIENCE, "2026-01-22", ("kal16", "en-us+Annie"), ("food", "future")
    ),
    "opus": Plan(
        "water-history", "A history of water", TOWN, "2026-01-29", ("rms", "en-us+linda"), ("water", "history")
    ),
}
"""File extension → episode."""
TRUNCATED = Plan("morning-team", "The morning team", TOWN, "2026-02-05", ("slt", "awb"), ("morning", "team"))
"""An MP3 whose header declares the whole episode, but whose end is missing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=miniature.BATCH.parent, help="folder for batch/ and references/")
    args = parser.parse_args()
    batch, references = args.out / miniature.BATCH.name, args.out / miniature.REFERENCES.name
    for folder in (batch, references):
        folder.mkdir(parents=True, exist_ok=True)

    studio = Studio()
    for n, (extension, plan) in enumerate([*PLANS.items(), ("mp3", TRUNCATED)]):
        episode = record(plan, studio, random.Random(f"{args.seed} {n}"))
        data = encode(episode.audio, RATE, FORMATS[extension])
        if plan is TRUNCATED:
            data = data[: int(len(data) * TRUNCATED_SHARE)]
        (batch / f"{plan.stem}.{extension}").write_bytes(data)
        write_reference(references, plan, episode)
        print(
            f"{plan.stem}.{extension}: {episode.audio.size / RATE:.1f} s, {len(episode.turns)} turns, {len(data):,} bytes"
        )
    metadata([*PLANS.values(), TRUNCATED]).write_parquet(batch / "metadata.parquet")


def write_reference(folder: Path, plan: Plan, episode: Episode) -> None:
    """Write turns as RTTM, and turns with words as JSON."""
    rttm = "".join(
        f"SPEAKER {plan.stem} 1 {t.start:.3f} {t.end - t.start:.3f} <NA> <NA> {t.speaker} <NA> <NA>\n"
        for t in episode.turns
    )
    (folder / f"{plan.stem}.rttm").write_text(rttm)
    turns = [
        {"speaker": t.speaker, "start": t.start, "end": t.end, "text": t.text, "words": t.words} for t in episode.turns
    ]
    content = {
        "meta_id": plan.stem,
        "duration": round(episode.audio.size / RATE, 3),
        "voices": {f"SPEAKER_{i:02d}": voice for i, voice in enumerate(plan.voices)},
        "turns": turns,
    }
    lines = json.dumps(content, indent=1)
    for turn in turns:  # one line per turn's words, else every number has a line of its own
        lines = lines.replace(json.dumps(turn["words"], indent=1).replace("\n", "\n   "), json.dumps(turn["words"]))
    (folder / f"{plan.stem}.json").write_text(lines + "\n")


def metadata(plans: list[Plan]) -> pl.DataFrame:
    """Return one row per episode, like a publisher's metadata."""
    rows = []
    for plan in plans:
        feed = FEED.format(podcast=plan.podcast.lower().replace(" ", "-"))
        rows.append(
            {
                "meta_id": plan.stem,
                "title": plan.title,
                "podcast": plan.podcast,
                "podcast_guid": str(uuid.uuid5(PODCAST_NAMESPACE, feed)),
                "language": "en",
                "license": "CC0-1.0",
                "published": date.fromisoformat(plan.published),
                "url": None,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"url": pl.String})


if __name__ == "__main__":
    main()
