"""A miniature Whisper of 103 words, and a batch of five synthetic episodes that it understands: fast, and the same every time.

Made by `podcast_assets_tests/training/mini_whisper`; `fixtures/miniature/README.md` says how good it is.
"""

import json
from pathlib import Path
from typing import Any

from podcast_assets.demo import BATCH_NAME, ReferenceTurn, write_sample_archive
from podcast_assets.intake.arrivals import INCOMING
from podcast_assets.store.store import Store

FOLDER = Path(__file__).parent / "fixtures" / "miniature"
MODEL = FOLDER / "model"
"""The model, for the transcriber `faster-whisper`."""
TRANSCRIBER: dict[str, Any] = {"model": str(MODEL), "chunk_seconds": 8.0, "timestamps": True, "temperatures": (0.0,)}
"""Settings of `faster-whisper` under which the model works."""
ENGINES: dict[str, Any] = {"faster-whisper": TRANSCRIBER}
"""The setting PODCAST_ENGINES under which every profile transcribes with the model."""
BATCH = FOLDER / "batch"
"""Five episodes (mp3, m4a, mp4, opus, and a truncated mp3) and `metadata.parquet`, as a batch arrives."""
REFERENCES = FOLDER / "references"
"""`<stem>.rttm` and `<stem>.json` of each episode."""


def load_reference(stem: str) -> list[ReferenceTurn]:
    """The turns of the episode whose file has this stem; of the whole episode, where the file is truncated."""
    return json.loads((REFERENCES / f"{stem}.json").read_text())["turns"]


def drop_batch(store: Store) -> None:
    """Put the batch into a store where `podcast-assets demo` looks for the sample batch."""
    with store.writing(f"{INCOMING}/{BATCH_NAME}.tar") as f:
        write_sample_archive(f, BATCH)
