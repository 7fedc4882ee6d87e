"""Settings of the run that an episode's own metadata override, and metadata that people override for an episode."""

import json
import logging
from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from podcast_assets.config.settings import Settings
from podcast_assets.intake.tables import fold_name
from podcast_assets.speech.diarizer_choice import DIARIZER

log = logging.getLogger(__name__)


def apply_overrides(raw_audio: pl.DataFrame, overrides: Mapping[str, Mapping[str, Any]]) -> pl.DataFrame:
    """Replace the diarizer, the number of speakers and the language in the rows of episodes for which people chose others.

    Args:
        raw_audio: table of the batch.
        overrides: episode → override record.
    """
    if overrides.keys().isdisjoint(raw_audio["episode_id"]):
        return raw_audio
    changed = [_override_row(row, overrides.get(row["episode_id"])) for row in raw_audio.iter_rows(named=True)]
    metadata, languages = ([row[name] for row in changed] for name in ("metadata", "language"))
    return raw_audio.with_columns(
        metadata=pl.Series(metadata, dtype=pl.String), language=pl.Series(languages, dtype=pl.String)
    )


def _override_row(row: Mapping[str, Any], record: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if record is None:
        return row
    metadata = _parse_row(row["metadata"])
    if record["diarizer"]:
        metadata[DIARIZER] = record["diarizer"]
    if record["min_speakers"] or record["max_speakers"]:
        metadata.pop("num_speakers", None)
        metadata |= {name: record[name] for name in ("min_speakers", "max_speakers")}
    return {"metadata": json.dumps(metadata) if metadata else None, "language": record["language"] or row["language"]}


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
