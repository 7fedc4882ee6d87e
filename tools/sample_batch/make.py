"""Make the sample batch in podcast_assets/demo: five short episodes, their metadata and their references.

    python -m tools.sample_batch.make --voices FOLDER

FOLDER has the voices of the npm package `kokoro-js`; README.md says how to get them.
"""

import argparse
import json
import uuid
from datetime import date
from pathlib import Path

import polars as pl

from podcast_assets import demo
from tools.sample_batch.encode import FORMATS, encode
from tools.sample_batch.kokoro import Kokoro
from tools.sample_batch.mix import RATE, Episode, record
from tools.sample_batch.scripts import MORNING_SHOW, SCRIPTS, Script

PODCAST_NAMESPACE = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")
"""Namespace of podcast GUIDs: UUIDv5 of the feed's address without its scheme (Podcasting 2.0, <podcast:guid>)."""
FEED = "podcast-assets.example/{podcast}/feed.xml"
TRUNCATED_SHARE = 0.55


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, required=True, help="folder with the .bin files of kokoro-js")
    parser.add_argument("--out", type=Path, default=demo.BATCH.parent, help="folder for batch/ and references/")
    args = parser.parse_args()
    batch, references = args.out / demo.BATCH.name, args.out / demo.REFERENCES.name
    for folder in (batch, references):
        folder.mkdir(parents=True, exist_ok=True)

    model = Kokoro(args.voices)
    for seed, script in enumerate(SCRIPTS):
        episode = record(script, model, seed)
        data = encode(episode.audio, RATE, FORMATS[script.extension])
        if script is MORNING_SHOW:
            data = data[: int(len(data) * TRUNCATED_SHARE)]
        (batch / f"{script.stem}.{script.extension}").write_bytes(data)
        write_reference(references, script, episode)
        print(f"{script.stem}: {episode.audio.size / RATE:.1f} s, {len(episode.turns)} turns, {len(data):,} bytes")
    metadata().write_parquet(batch / "metadata.parquet")


def write_reference(folder: Path, script: Script, episode: Episode) -> None:
    """Write turns as RTTM, and turns with words as JSON."""
    rttm = "".join(
        f"SPEAKER {script.stem} 1 {t.start:.3f} {t.end - t.start:.3f} <NA> <NA> {t.speaker} <NA> <NA>\n"
        for t in episode.turns
    )
    (folder / f"{script.stem}.rttm").write_text(rttm)
    turns = [
        {"speaker": t.speaker, "start": t.start, "end": t.end, "text": t.text, "words": t.words} for t in episode.turns
    ]
    content = {
        "meta_id": script.stem,
        "duration": round(episode.audio.size / RATE, 3),
        "voices": episode.voices,
        "turns": turns,
    }
    lines = json.dumps(content, indent=1)
    for turn in turns:  # one line per turn's words, else every number has a line of its own
        lines = lines.replace(json.dumps(turn["words"], indent=1).replace("\n", "\n   "), json.dumps(turn["words"]))
    (folder / f"{script.stem}.json").write_text(lines + "\n")


def metadata() -> pl.DataFrame:
    """Return one row per episode, like a publisher's metadata."""
    rows = []
    for script in SCRIPTS:
        feed = FEED.format(podcast=script.podcast.lower().replace(" ", "-"))
        rows.append(
            {
                "meta_id": script.stem,
                "title": script.title,
                "podcast": script.podcast,
                "podcast_guid": str(uuid.uuid5(PODCAST_NAMESPACE, feed)),
                "language": "en",
                "license": "CC0-1.0",
                "published": date.fromisoformat(script.published),
                "url": None,
            }
        )
    return pl.DataFrame(rows, schema_overrides={"url": pl.String})


if __name__ == "__main__":
    main()
