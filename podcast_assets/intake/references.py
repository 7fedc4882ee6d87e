"""Publishers' transcripts (SRT, WebVTT, JSON), stored beside the episode as references."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl
import pysubs2

from podcast_assets.common.errors import BadInput
from podcast_assets.common.language_codes import language_code
from podcast_assets.intake.downloads.download import DownloadLimits, NotFetched, download
from podcast_assets.intake.downloads.http import HttpClient
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.intake.downloads.urls import redact_url, url_key
from podcast_assets.store.schema import make_table
from podcast_assets.store.schema_beside import REFERENCES
from podcast_assets.store.store import Store

LARGEST = 20_000_000
"""Bytes of a transcript; one hour of speech is below one million."""
_TYPES = {
    "application/json": "json",
    "text/vtt": "vtt",
    "application/x-subrip": "srt",
    "application/srt": "srt",
    "text/srt": "srt",
}
"""Media types of podcast:transcript, as feeds write them. HTML and plain text have no times, and are left."""
_BEST_FIRST = ("json", "vtt", "srt")
"""JSON names the speakers, WebVTT may."""


class NoTranscript(BadInput):
    """The transcript cannot be parsed in its declared format."""


@dataclass(frozen=True)
class PublisherTranscript:
    """A transcript that a feed or a list names."""

    url: str
    format: str
    language: str | None

    def __repr__(self) -> str:
        """Without the secrets of the URL."""
        return f"Reference({redact_url(self.url)})"


def select_references(row: Mapping[str, Any]) -> list[PublisherTranscript]:
    """Select the transcripts that a row names in `transcripts` ({url, type, language}, …) or `transcript_url`, the best of each
    language.
    """
    declared = row.get("transcripts")
    if isinstance(declared, str):
        try:
            declared = json.loads(declared)
        except ValueError:
            declared = None
    given = [d for d in declared if isinstance(d, Mapping)] if isinstance(declared, list) else []
    if isinstance(row.get("transcript_url"), str):
        given.append({"url": row["transcript_url"]})
    own = language_code(row.get("language")) if isinstance(row.get("language"), str) else None
    best: dict[str | None, PublisherTranscript] = {}
    for one in given:
        url, kind = one.get("url"), str(one.get("type") or "").partition(";")[0].strip().lower()
        if not isinstance(url, str) or not url.strip():
            continue
        suffix = PurePosixPath(redact_url(url)).suffix.lower().removeprefix(".")
        form = _TYPES.get(kind) or (suffix if suffix in _BEST_FIRST else None)
        language = language_code(one.get("language")) if isinstance(one.get("language"), str) else own
        if form is None:
            continue
        there = best.get(language)
        if there is None or _BEST_FIRST.index(form) < _BEST_FIRST.index(there.format):
            best[language] = PublisherTranscript(url.strip(), form, language)
    return list(best.values())


def references_key(batch: str, episode_id: str, suffix: str) -> str:
    """Key of an episode's references: `parquet` for the rows, the format for what came."""
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
    """Fetch the transcripts that a row names, store them beside the episode, and return any errors.

    One that cannot be had is none the less done with: a reference is worth no second try every night.
    """
    wanted, key = select_references(row), references_key(batch, episode_id, "parquet")
    if not wanted or store.exists(key):
        return []
    rows: list[dict[str, Any]] = []
    troubles: list[str] = []
    for reference in wanted:
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
            troubles.append(f"{redact_url(reference.url)}: {error}")
    store.write_table(key, make_table(rows, REFERENCES), {"podcast_assets.troubles": json.dumps(troubles)})
    return troubles


def parse_cues(data: bytes, form: str) -> list[dict[str, Any]]:
    """Parse a transcript to cues in order of their start: start and end in seconds, speaker, text.

    Raises:
        NoTranscript: it is none of this format.
    """
    try:
        content = data.decode("utf-8-sig", "replace")
        found = list(_json_cues(content) if form == "json" else _subtitle_cues(content, form))
    except (ValueError, KeyError, TypeError, RecursionError, pysubs2.exceptions.Pysubs2Error) as error:
        raise NoTranscript(f"it cannot be read as {form}: {error}") from error
    if not found:
        raise NoTranscript(f"it holds nothing that can be read as {form}")
    return sorted(found, key=lambda cue: cue["start"])


def _json_cues(content: str) -> Iterator[dict[str, Any]]:
    """https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/examples/transcripts/transcripts.md#json"""
    for segment in json.loads(content)["segments"]:
        yield {
            "start": float(segment["startTime"]),
            "end": float(segment["endTime"]),
            "speaker": str(segment["speaker"]) if segment.get("speaker") else None,
            "text": str(segment["body"]).strip(),
        }


def _subtitle_cues(content: str, form: str) -> Iterator[dict[str, Any]]:
    # tags are kept, because one of them, WebVTT's <v …>, names the speaker
    for event in pysubs2.SSAFile.from_string(content, format_=form, keep_html_tags=True):
        speaker, words = _split_speaker(event.text.replace("\\N", " "))
        yield {"start": event.start / 1000, "end": event.end / 1000, "speaker": speaker, "text": words}


def _split_speaker(text: str) -> tuple[str | None, str]:
    """Speaker and words of a cue."""
    speaker, words, rest = None, "", text
    while rest:
        before, mark, rest = rest.partition("<")
        words += before
        if mark:
            tag, _, rest = rest.partition(">")
            if tag.startswith("v") and (name := tag.partition(" ")[2].strip()):
                speaker = speaker or unescape(name)
    return speaker, " ".join(unescape(words).split())


def read_references(store: Store, batch: str) -> dict[str, pl.DataFrame]:
    """Episode → its references, of those episodes of a batch that have any."""
    episodes = [n.removesuffix(".parquet") for n in store.names(f"references/{batch}") if n.endswith(".parquet")]
    found = {episode: read_reference_rows(store, batch, episode) for episode in sorted(episodes)}
    return {episode: rows for episode, rows in found.items() if rows is not None and rows.height}


def read_reference_rows(store: Store, batch: str, episode_id: str) -> pl.DataFrame | None:
    """The references of an episode; None where it has none."""
    return store.read_table(references_key(batch, episode_id, "parquet"), REFERENCES)
