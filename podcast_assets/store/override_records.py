"""Override records, `overrides/<batch>/<episode_id>.json` in the store: with which engines an episode is processed.

`podcast-assets process` writes them. Every run reads them, so that no later one goes back to the usual engines unasked.
"""

from collections.abc import Mapping
from typing import Any

from podcast_assets.common.wording import count_noun
from podcast_assets.store.episode_records import EpisodeRecords
from podcast_assets.store.schema_beside import OVERRIDES

OVERRIDE_RECORDS = EpisodeRecords("overrides", OVERRIDES, "override")

CHOICES = ("diarizer", "min_speakers", "max_speakers", "transcriber", "language")
"""Columns of a record that override metadata and settings; null where it leaves them as they are."""


def describe_override(record: Mapping[str, Any]) -> str:
    """What a record chooses, for people: `diarizer pyannote, 2 to 4 speakers`."""
    fewest, most = record["min_speakers"], record["max_speakers"]
    speakers = None
    if fewest and most:
        speakers = count_noun(fewest, "speaker") if fewest == most else f"{fewest} to {most} speakers"
    elif fewest or most:
        speakers = f"at least {count_noun(fewest, 'speaker')}" if fewest else f"at most {count_noun(most, 'speaker')}"
    named = [f"{name} {record[name]}" for name in ("diarizer", "transcriber", "language") if record[name]]
    return ", ".join(filter(None, [*named, speakers]))
