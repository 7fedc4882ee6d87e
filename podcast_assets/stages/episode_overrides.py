"""What an episode's own metadata say of how it is to be done; they go before the settings."""

import json
import logging
from typing import Any

from podcast_assets.config.settings import Settings

log = logging.getLogger(__name__)


def speakers(metadata: str | None, settings: Settings) -> dict[str, int | None]:
    """Fewest and most speakers: of the metadata's `num_speakers`, else its `min_speakers` and `max_speakers`, else the settings.

    Args:
        metadata: the whole row, JSON.
        settings: of the run; None in them is left to the diarizer.
    """
    row = _row(metadata)
    exact = _count(row, "num_speakers")
    fewest = exact or _count(row, "min_speakers") or settings.min_speakers
    most = exact or _count(row, "max_speakers") or settings.max_speakers
    if fewest and most and fewest > most:  # one of the metadata against one of the settings
        most = fewest if _count(row, "min_speakers") else most
        fewest = min(fewest, most)
    return {"min_speakers": fewest, "max_speakers": most}


def hints(metadata: str | None, settings: Settings) -> str | None:
    """Text of the metadata's columns that the settings name as hints; None where there is none."""
    row = _row(metadata)
    wanted = [name.strip() for name in settings.hints.split(",")]
    told = [str(row[name]).strip() for name in wanted if row.get(name) not in (None, "")]
    return ", ".join(told) or None


def _row(metadata: str | None) -> dict[str, Any]:
    row = json.loads(metadata) if metadata else {}
    return row if isinstance(row, dict) else {}


def _count(row: dict[str, Any], name: str) -> int | None:
    value = row.get(name)
    if value in (None, ""):
        return None
    try:
        count = int(float(str(value)))
    except ValueError:
        count = 0
    if count < 1:
        log.warning("%s=%r of %s is no number of speakers and is not used", name, value, row.get("meta_id"))
        return None
    return count
