"""Settings of the run that an episode's own metadata override."""

import json
import logging
from collections.abc import Collection
from typing import Any

from podcast_assets.config.settings import Settings
from podcast_assets.intake.tables import fold_name
from podcast_assets.speech.diarizer_choice import DIARIZER

log = logging.getLogger(__name__)


def speaker_bounds(metadata: str | None, settings: Settings) -> dict[str, int | None]:
    """Bounds of the number of speakers: the metadata's `num_speakers`, else `min_speakers` and `max_speakers`, else the settings.

    Args:
        metadata: row of the episode as JSON.
        settings: of the run.

    Returns:
        `min_speakers` and `max_speakers`; None leaves a bound to the diarizer.
    """
    row = _parse_row(metadata)
    exact = _parse_count(row, "num_speakers")
    fewest = exact or _parse_count(row, "min_speakers") or settings.min_speakers
    most = exact or _parse_count(row, "max_speakers") or settings.max_speakers
    if fewest and most and fewest > most:  # one bound is of the metadata, which override the other
        most = fewest if _parse_count(row, "min_speakers") else most
        fewest = min(fewest, most)
    return {"min_speakers": fewest, "max_speakers": most}


def diarizer(metadata: str | None, known: Collection[str]) -> str | None:
    """Name of the diarizer that the metadata's `diarizer` chooses; None leaves it to the settings.

    Args:
        metadata: row of the episode as JSON.
        known: names of the diarizers.
    """
    row = _parse_row(metadata)
    name = str(row.get(DIARIZER) or "").strip().lower()
    if name in ("", "auto") or name in known:
        return None if name in ("", "auto") else name
    log.warning(
        "metadata of %s: ignoring diarizer=%r, which is none of %s", row.get("meta_id"), name, ", ".join(sorted(known))
    )
    return None


def hints(metadata: str | None, settings: Settings) -> str | None:
    """Join the metadata's columns that the settings name as hints; None if all are empty."""
    row = {fold_name(name): value for name, value in _parse_row(metadata).items()}
    columns = [fold_name(name) for name in settings.hints.split(",")]
    texts = [str(row[name]).strip() for name in columns if row.get(name) not in (None, "")]
    return ", ".join(texts) or None


def _parse_row(metadata: str | None) -> dict[str, Any]:
    row = json.loads(metadata) if metadata else {}
    return row if isinstance(row, dict) else {}


def _parse_count(row: dict[str, Any], name: str) -> int | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        count = int(float(str(value)))
    except (ValueError, OverflowError):
        count = 0
    if count < 1:
        log.warning(
            "metadata of %s: ignoring %s=%r, which is not a number of speakers", row.get("meta_id"), name, value
        )
        return None
    return count
