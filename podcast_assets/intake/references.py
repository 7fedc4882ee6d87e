"""Publishers' transcripts (SRT, WebVTT, JSON), stored beside the episode as references."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pysubs2

from podcast_assets.common.errors import BadInput, first_line
from podcast_assets.common.language_codes import language_code
from podcast_assets.common.redaction import redact_url
from podcast_assets.intake.downloads.download import DownloadLimits, NotFetched, download
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.encodings import decode_text
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REFERENCES
from podcast_assets.store.store import Store

LARGEST = 20_000_000
"""Maximum size of a transcript, bytes; an hour of speech has less than a million."""
_TYPES = {
    "application/json": "json",
    "text/vtt": "vtt",
    "application/x-subrip": "srt",
    "application/srt": "srt",
    "text/srt": "srt",
}
"""Media types of podcast:transcript in real feeds. HTML and plain text are ignored, because they have no times."""
_TROUBLES = "podcast_assets.troubles"
"""Note of a table: why transcripts are not available, JSON."""
_BEST_FIRST = ("json", "vtt", "srt")
"""JSON names the speakers, WebVTT may name them."""

_TAG = re.compile(r"<([^>]*)>?")
_VOICE = re.compile(r"v[^ ]* (.*)", re.DOTALL)
"""WebVTT's voice tag, with its classes: <v.loud Mary>."""


class NoTranscript(BadInput):
    """The transcript cannot be parsed in its declared format."""


@dataclass(frozen=True)
class PublisherTranscript:
    """A transcript that a feed or a list names."""

    url: str
    format: str
    language: str | None

    def __repr__(self) -> str:
        """Representation with the redacted URL."""
        return f"PublisherTranscript({redact_url(self.url)})"


def select_references(row: Mapping[str, Any]) -> list[PublisherTranscript]:
    """Select the best transcript of each language from a row's `transcripts` ({url, type, language}, …) and `transcript_url`."""
    declared = row.get("transcripts")
    if isinstance(declared, str):
        try:
            declared = json.loads(declared)
        except (ValueError, RecursionError):
            declared = None
    candidates = [d for d in declared if isinstance(d, Mapping)] if isinstance(declared, list) else []
    if isinstance(row.get("transcript_url"), str):
        candidates.append({"url": row["transcript_url"]})
    row_language = language_code(row.get("language")) if isinstance(row.get("language"), str) else None
    best: dict[str | None, PublisherTranscript] = {}
    for candidate in candidates:
        url, kind = candidate.get("url"), str(candidate.get("type") or "").partition(";")[0].strip().lower()
        if not isinstance(url, str) or not url.strip():
            continue
        suffix = PurePosixPath(redact_url(url)).suffix.lower().removeprefix(".")
        format_name = _TYPES.get(kind) or (suffix if suffix in _BEST_FIRST else None)
        language = (
            language_code(candidate.get("language")) if isinstance(candidate.get("language"), str) else row_language
        )
        if format_name is None:
            continue
        current = best.get(language)
        if current is None or _BEST_FIRST.index(format_name) < _BEST_FIRST.index(current.format):
            best[language] = PublisherTranscript(url.strip(), format_name, language)
    return list(best.values())


def references_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of an episode's references: suffix `parquet` for the parsed rows, else the original file."""
    return f"references/{batch}/{episode_id}.{suffix}"


def fetch_references(
    store: Store,
    web: HttpClient,
    batch: str,
    episode_id: str,
    row: Mapping[str, Any],
    limits: DownloadLimits,
    folder: Path,
) -> list[str]:
    """Fetch the transcripts that a row names, store them beside the episode, and return any errors, also those of the first time.

    Transcripts that are not available count as fetched: they are optional, and are not requested again by every run.
    """
    references, key = select_references(row), references_key(batch, episode_id, "parquet")
    if not references:
        return []
    if (stored := store.read_noted_table(key, REFERENCES)) is not None:
        return json.loads(stored[1].get(_TROUBLES, "[]"))
    rows: list[dict[str, Any]] = []
    troubles: list[str] = []
    for reference in references:
        try:
            with PartialDownload(folder, url_key(f"{batch} {episode_id} {reference.url}")[:32]) as partial:
                download(web, reference.url, partial, limits, check=lambda head, kind: None)
                data = partial.content().read()
                partial.remove()
            name = f"{reference.language or 'und'}.{reference.format}"
            store.write(references_key(batch, episode_id, name), data)
            rows += [
                {"episode_id": episode_id, "language": reference.language, "format": reference.format} | cue
                for cue in parse_cues(data, reference.format)
            ]
        except (NotFetched, NoTranscript, BadInput) as error:
            troubles.append(f"{redact_url(reference.url)}: {first_line(error)}")
    store.write_table(key, make_table(rows, REFERENCES), {_TROUBLES: json.dumps(troubles)})
    return troubles


def parse_cues(data: bytes, format_name: str) -> list[dict[str, Any]]:
    """Parse a transcript to cues in order of their start: start and end in seconds, speaker, text.

    Raises:
        NoTranscript: the data are not in this format.
    """
    try:
        content = decode_text(data)
        cues = list(_json_cues(content) if format_name == "json" else _subtitle_cues(content, format_name))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, pysubs2.exceptions.Pysubs2Error) as error:
        raise NoTranscript(f"it cannot be read as {format_name}: {error}") from error
    if not cues:
        raise NoTranscript(f"it has no cues that can be read as {format_name}")
    return sorted(cues, key=lambda cue: cue["start"])


def _json_cues(content: str) -> Iterator[dict[str, Any]]:
    """https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/examples/transcripts/transcripts.md#json"""
    for segment in json.loads(content)["segments"]:
        start, end = float(segment["startTime"]), float(segment["endTime"])
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError("a cue has no time")
        yield {
            "start": start,
            "end": end,
            "speaker": str(segment["speaker"]) if segment.get("speaker") else None,
            "text": str(segment["body"]).strip(),
        }


def _subtitle_cues(content: str, format_name: str) -> Iterator[dict[str, Any]]:
    # tags are kept, because WebVTT's <v …> names the speaker
    for event in pysubs2.SSAFile.from_string(content, format_=format_name, keep_html_tags=True):
        speaker, words = _split_speaker(event.text.replace("\\N", " "))
        yield {"start": event.start / 1000, "end": event.end / 1000, "speaker": speaker, "text": words}


def _split_speaker(text: str) -> tuple[str | None, str]:
    """Split a cue's text into speaker and words."""
    names = (_VOICE.fullmatch(tag) for tag in _TAG.findall(text))
    speaker = next((unescape(name) for found in names if found and (name := found[1].strip())), None)
    return speaker, " ".join(unescape(_TAG.sub("", text)).split())


def read_references(store: Store, batch: str) -> dict[str, pl.DataFrame]:
    """Read the references of a batch, by episode, for the episodes that have any."""
    episodes = store.table_names(f"references/{batch}")
    found = {episode: read_reference_rows(store, batch, episode) for episode in episodes}
    return {episode: rows for episode, rows in found.items() if rows is not None and rows.height}


def read_reference_rows(store: Store, batch: str, episode_id: str) -> pl.DataFrame | None:
    """Read the references of an episode; None if it has none."""
    return store.read_table(references_key(batch, episode_id, "parquet"), REFERENCES)
