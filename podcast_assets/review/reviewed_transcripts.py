"""Transcripts with what reviewers decided, for people, in every format. No I/O. Machines' transcripts stay as they are."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from podcast_assets.common.wording import count_noun
from podcast_assets.transcripts import render
from podcast_assets.transcripts.spoken import Row


def render_reviewed(episode: Row, segments: pl.DataFrame, reviewed: pl.DataFrame) -> dict[str, str]:
    """Render an episode's transcript with reviewed texts and speakers, by suffix. It is marked where the format allows that.

    Args:
        episode: row of `raw_audio`.
        segments: its segments with their texts: columns of `diarized_segments` and `transcripts`.
        reviewed: rows REVIEWED_SEGMENTS of the episode.
    """
    rows = apply_reviews(segments, reviewed)
    note = _note(segments.height, reviewed)
    made = render(episode, rows, note=note)
    made["json"] = _mark_json(made["json"], note, rows)
    made["vtt"] = made["vtt"].replace("WEBVTT\n", f"WEBVTT\n\nNOTE {note}\n", 1)
    return made


def apply_reviews(segments: pl.DataFrame, reviewed: pl.DataFrame) -> list[dict[str, Any]]:
    """Return an episode's segments as reviewers left them: texts, speakers and names; split ones twice, joined ones once.

    Each row has `reviewed`: whether people decided its text or labels.
    """
    decided = {row["segment_id"]: row for row in reviewed.iter_rows(named=True)}
    names = _names(segments, decided)
    found: list[dict[str, Any]] = []
    open_join = False
    for row in segments.sort("start", maintain_order=True).iter_rows(named=True):
        parts = _parts(row, decided.get(row["segment_id"]), names)
        if open_join and found:
            found[-1] = _join(found[-1], parts.pop(0))
        found += parts
        open_join = "joined" in ((decided.get(row["segment_id"]) or {}).get("review_flags") or ())
    return found


def _names(segments: pl.DataFrame, decided: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Speaker label → name, for the parts of split segments."""
    labels = dict(segments.select("segment_id", "speaker").iter_rows())
    return {
        str(row["speaker_reviewed"] or labels.get(segment)): row["speaker_name"]
        for segment, row in decided.items()
        if row["speaker_name"]
    }


def _parts(
    row: Mapping[str, Any], decision: Mapping[str, Any] | None, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    if decision is None:
        return [{**row, "reviewed": False}]
    changed = {**row, "reviewed": decision["reviewed"]}
    if decision["text_reviewed"] is not None:
        changed |= {"text": decision["text_reviewed"], "words": decision["words_reviewed"]}
    label = decision["speaker_reviewed"] or row["speaker"]
    changed["speaker"] = decision["speaker_name"] or label
    if decision["split_at"] is None or not row["start"] < decision["split_at"] < row["end"]:
        return [changed]
    speakers = [*(decision["split_speakers"] or ()), label, label]
    return _split(changed, decision["split_at"], [names.get(str(s), s) for s in speakers[:2]])


def _split(row: Mapping[str, Any], at: float, speakers: Sequence[str | None]) -> list[dict[str, Any]]:
    """Split a segment by its words' times; without any, its text stays with the first part."""
    before: list[Mapping[str, Any]] = []
    after: list[Mapping[str, Any]] = []
    for word in row.get("words") or ():
        later = bool(after) if word["start"] is None else word["start"] >= at
        (after if later else before).append(word)
    texts = [" ".join(str(w["word"]).strip() for w in part) for part in (before, after)] if after else [row["text"], ""]
    return [
        {**row, "end": at, "text": texts[0], "words": before, "speaker": speakers[0]},
        {**row, "start": at, "text": texts[1], "words": after, "speaker": speakers[1]},
    ]


def _join(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **first,
        "end": max(first["end"], second["end"]),
        "text": " ".join(text for text in (first["text"], second["text"]) if text),
        "words": [*(first["words"] or ()), *(second["words"] or ())],
        "reviewed": first["reviewed"] or second["reviewed"],
    }


def _note(segments: int, reviewed: pl.DataFrame) -> str:
    checked = int(reviewed["reviewed"].sum())
    return (
        f"Reviewed by people: {checked:,} of {count_noun(segments, 'segment')} were checked. "
        "What they did not check is as machines transcribed it."
    )


def _mark_json(text: str, note: str, rows: Sequence[Mapping[str, Any]]) -> str:
    found = json.loads(text)
    found["note"] = note
    for segment, row in zip(found["segments"], rows, strict=True):
        segment["reviewed"] = row["reviewed"]
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
