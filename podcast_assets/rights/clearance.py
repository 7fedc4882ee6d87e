"""Clearance of episodes for release: decision, reason, licence and attribution.

The latest statement takes precedence: the rights ledger overrides the metadata that arrived with an episode. No I/O.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from podcast_assets.common.redaction import redact_url
from podcast_assets.rights.licences import Licence, LicenceRules, is_public_domain, parse_licence
from podcast_assets.store.discard_records import discard_reason
from podcast_assets.store.schema import Columns, schema
from podcast_assets.store.takedown_records import Refusals

CLEARANCE: Columns = {
    "batch": (pl.String, "the batch"),
    "episode_id": (pl.String, "stable id of the episode"),
    "cleared": (pl.Boolean, "whether it may be released"),
    "reason": (pl.String, "why it may not be released, one of `Reason`; null if it may"),
    "detail": (pl.String, "explanation of the reason; null if it may be released"),
    "title": (pl.String, "title of the episode"),
    "podcast": (pl.String, "name of the podcast"),
    "source_url": (
        pl.String,
        "page of the episode, or where its audio came from, without secrets; null if unknown",
    ),
    "license": (pl.String, "SPDX id, or the words of an agreement"),
    "license_url": (pl.String, "URL of the licence's text"),
    "attribution": (pl.String, "line that names the work, its author, its source and its licence"),
    "copyright": (pl.String, "the publisher's copyright line"),
    "explicit": (pl.Boolean, "whether the publisher calls it explicit; null if unknown"),
    "locked": (pl.Boolean, "podcast:locked: no other host may import the feed; says nothing about use"),
    "hours": (pl.Float64, "hours of audio"),
}

_TRACK = re.compile(r"-track\d+$")


class Reason(StrEnum):
    """Why an episode is not released."""

    TAKEN_DOWN = "taken_down"
    OPTED_OUT = "opted_out"
    BLOCKED = "blocked"
    DISCARDED = "discarded"
    LICENSE_MISSING = "license_missing"
    LICENSE_UNKNOWN = "license_unknown"
    LICENSE_CONFLICT = "license_conflict"
    LICENSE_NOT_ALLOWED = "license_not_allowed"
    DUPLICATE = "duplicate"


CONTENT_REASONS = (Reason.TAKEN_DOWN, Reason.OPTED_OUT, Reason.BLOCKED)
"""Reasons that apply to all copies of the same bytes."""
_OPT_OUTS = ("opt_out", "optout", "opted_out", "no_ai", "noai", "tdm_reservation", "tdm-reservation")
"""Metadata columns that reserve the use for training; the last is from W3C's TDM Reservation Protocol."""
_YES = ("yes", "true", "1")
_MISSING = "no licence is declared: give one in the column `license` of the metadata, or of the list in feeds/ that names the feed"


@dataclass(frozen=True)
class _RightsStatements:
    """Rights statements about an episode."""

    license: str | None
    license_url: str | None
    blocked: bool
    agreed: bool
    opted_out: bool
    copyright: str | None
    explicit: bool | None
    locked: bool | None


def decide_clearance(
    episodes: pl.DataFrame,
    ledger: pl.DataFrame,
    takedowns: pl.DataFrame,
    licences: LicenceRules,
    sealed: Collection[str] | None = None,
    discards: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Decide for each finished episode whether it may be released; one row per episode, ordered by batch and episode.

    Of several copies of the same bytes, the lowest (batch, episode_id) that may be released is released. A takedown, an opt-out or
    a block applies to all copies; a discard applies to one episode only, in whose place a copy may be released.

    Args:
        episodes: rows of `raw_audio` of all batches, with their `batch`.
        ledger: latest rows of the rights ledger (`intake.rights_ledger.read_ledger`).
        takedowns: takedown records, columns `store.schema_beside.TAKEDOWNS`.
        licences: licences that may be released.
        sealed: batches whose copies can be released; None for all.
        discards: discard records, columns `store.schema_beside.DISCARDS`; None for none.
    """
    refusals = Refusals(takedowns)
    discarded = (
        {(r["batch"], r["episode_id"]): discard_reason(r) for r in discards.iter_rows(named=True)}
        if discards is not None
        else {}
    )
    ledger_rows = {row["episode_id"]: row for row in ledger.iter_rows(named=True)}
    rows: list[dict[str, Any]] = []
    for episode in episodes.filter(pl.col("status") == "done").sort("batch", "episode_id").iter_rows(named=True):
        metadata = metadata_of(episode)
        statements = _collect_statements(episode, metadata, ledger_rows.get(_file_id(episode)), licences)
        licence, reason, detail = _apply_rules(statements, licences)
        refusal = refusals.why(
            episode_id=episode["episode_id"],
            sha256=[episode["sha256"], *(episode["earlier_sha256"] or ())],
            podcast_id=episode["podcast_id"],
            podcast=episode["podcast"],
        )
        if refusal:
            reason, detail = Reason.TAKEN_DOWN, refusal
        discard = discarded.get((episode["batch"], episode["episode_id"]))
        if discard and reason not in CONTENT_REASONS:
            reason, detail = Reason.DISCARDED, discard
        row = _clearance_row(episode, metadata, statements, licence)
        rows.append(row | {"reason": reason, "detail": detail, "tracks": episode["tracks"]})
    _spread_to_copies(rows, sealed)
    for row in rows:
        row["cleared"] = row["reason"] is None
    return pl.DataFrame([{k: r[k] for k in CLEARANCE} for r in rows], schema=schema(CLEARANCE))


def clearance_advice(found: pl.DataFrame, licences: LicenceRules) -> str | None:
    """Advice if no episode may be released or PODCAST_LICENSES may be mistyped; else None."""
    unknown = licences.unknown(found["license"].drop_nulls().unique())
    mistyped = (
        f"PODCAST_LICENSES names {', '.join(unknown)}, which is neither a known licence nor declared by any episode"
    )
    if found.is_empty() or found["cleared"].any():
        return mistyped if unknown else None
    counts = Counter(found["reason"].to_list())
    parts = [f"all {found.height} episodes are withheld ({', '.join(f'{r}: {n}' for r, n in counts.most_common())})"]
    if counts[Reason.LICENSE_MISSING]:
        parts.append(
            "for those without a licence give one in the column `license` of the metadata (of feeds: of the list in feeds/)"
        )
    others = found.filter(pl.col("reason").is_in([Reason.LICENSE_NOT_ALLOWED, Reason.LICENSE_UNKNOWN]))
    if others.height:
        names = ", ".join(others["license"].drop_nulls().unique().sort().head(5).to_list())
        parts.append(
            f"PODCAST_LICENSES allows {','.join(sorted(licences.allowed))}; add what you may publish of: {names} (* for any)"
        )
    return "; ".join([*parts, *([mistyped] if unknown else ())])


def metadata_of(episode: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata row of an episode of `raw_audio`; empty if it has none."""
    found = json.loads(episode["metadata"]) if episode["metadata"] else {}
    return found if isinstance(found, dict) else {}


def _file_id(episode: Mapping[str, Any]) -> str:
    """Id of the episode's file, to which the ledger refers; that of a track has a suffix."""
    identity = str(episode["episode_id"])
    return _TRACK.sub("", identity) if episode["tracks"] == "episodes" else identity


def _collect_statements(
    episode: Mapping[str, Any], metadata: Mapping[str, Any], ledger_row: Mapping[str, Any] | None, rules: LicenceRules
) -> _RightsStatements:
    declared = {k.lower(): v for k, v in metadata.items()}
    opted_out = any(_parse_yes(declared.get(name)) for name in _OPT_OUTS)
    if ledger_row is None:
        return _RightsStatements(
            license=episode["license"],
            license_url=_as_text(declared.get("license_url")),
            blocked=_parse_yes(declared.get("blocked")) is True,
            agreed=False,
            opted_out=opted_out,
            copyright=_as_text(declared.get("copyright")),
            explicit=_parse_yes(declared.get("explicit")),
            locked=_parse_yes(declared.get("locked")),
        )
    return _RightsStatements(
        license=ledger_row["license"],
        license_url=ledger_row["license_url"],
        blocked=ledger_row["blocked"] is True,
        agreed=ledger_row["feed"] in rules.agreed_feeds,
        opted_out=opted_out,
        copyright=ledger_row["copyright"],
        explicit=ledger_row["explicit"],
        locked=ledger_row["locked"],
    )


def _apply_rules(
    statements: _RightsStatements, rules: LicenceRules
) -> tuple[Licence | None, Reason | None, str | None]:
    """Apply the licence rules; return the licence, and the reason and detail if the episode is withheld."""
    licence, trouble = _declared_licence(statements)
    text = statements.license or statements.license_url
    if statements.opted_out:
        return licence, Reason.OPTED_OUT, "its metadata reserve it from being used in datasets"
    if statements.blocked and not statements.agreed:
        return licence, Reason.BLOCKED, "its publisher blocks it"
    if trouble:
        return licence, Reason.LICENSE_CONFLICT, trouble
    if text is None and licence is None:
        return None, Reason.LICENSE_MISSING, _MISSING
    if rules.allow(licence, text or ""):
        return licence, None, None
    if licence is None:
        return None, Reason.LICENSE_UNKNOWN, f"unknown licence: {text!r}"
    return licence, Reason.LICENSE_NOT_ALLOWED, f"{licence.id} is not among PODCAST_LICENSES"


def _declared_licence(statements: _RightsStatements) -> tuple[Licence | None, str | None]:
    """Declared licence of an episode, and an error message if its name and link differ."""
    by_name, by_link = parse_licence(statements.license), parse_licence(statements.license_url)
    if by_name and by_link and by_name.id != by_link.id:
        both_public = is_public_domain(by_name) and is_public_domain(by_link)
        if both_public or by_link.id.startswith(f"{by_name.id}-"):  # the name omits version or country
            return by_link, None
        return by_name, f"its licence is declared as {statements.license!r}, but the link is to {by_link.id}"
    # a link does not make up for unknown words, which may restrict what it grants
    if statements.license and by_name is None and by_link:
        return None, None
    return by_name or by_link, None


def _clearance_row(
    episode: Mapping[str, Any], metadata: Mapping[str, Any], statements: _RightsStatements, licence: Licence | None
) -> dict[str, Any]:
    source = next((redact_url(u) for u in (_as_text(metadata.get("link")), _as_text(metadata.get("url"))) if u), None)
    name = licence.id if licence else statements.license
    link = licence.url if licence else None
    return {
        "batch": episode["batch"],
        "episode_id": episode["episode_id"],
        "sha256": episode["sha256"],
        "title": episode["title"],
        "podcast": episode["podcast"],
        "source_url": source,
        "license": name,
        "license_url": link or statements.license_url,
        "attribution": _attribution(episode, metadata, source, name, link or statements.license_url),
        "copyright": statements.copyright,
        "explicit": statements.explicit,
        "locked": statements.locked,
        "hours": (episode["duration"] or 0.0) / 3600,
    }


def _attribution(
    episode: Mapping[str, Any], metadata: Mapping[str, Any], source: str | None, name: str | None, link: str | None
) -> str:
    """Title, author, source, licence: https://wiki.creativecommons.org/wiki/Recommended_practices_for_attribution"""
    author = _as_text(metadata.get("author")) or _as_text(metadata.get("creator"))
    podcast = episode["podcast"]
    title = f"“{episode['title']}”" if episode["title"] else f"Episode {episode['episode_id']}"
    by = " by ".join(filter(None, dict.fromkeys((podcast, author))))
    licence = f"{name} ({link})" if name and link else name
    return ", ".join(filter(None, (title, by, source, licence)))


def _spread_to_copies(rows: Sequence[dict[str, Any]], sealed: Collection[str] | None) -> None:
    """Apply decisions to all copies of the same bytes, and release only one copy, preferably a sealed one."""
    by_content: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_content.setdefault(row["sha256"], []).append(row)
    for copies in by_content.values():
        blocking = next((r for reason in CONTENT_REASONS for r in copies if r["reason"] is reason), None)
        released: dict[str, Any] | None = None
        for row in copies:
            if blocking is not None:
                row["reason"], row["detail"] = blocking["reason"], blocking["detail"]
            elif row["reason"] is not None:
                continue
            elif released is None:
                released = row if sealed is None or row["batch"] in sealed else None
            elif released["batch"] == row["batch"] and released["tracks"] == row["tracks"] == "episodes":
                continue  # another track of the file
            else:
                row["reason"] = Reason.DUPLICATE
                row["detail"] = f"the same bytes as {released['batch']}/{released['episode_id']}, which is released"


def _as_text(value: Any) -> str | None:
    return " ".join(value.split()) or None if isinstance(value, str) else None


def _parse_yes(value: Any) -> bool | None:
    """Whether a value means yes; None if there is no value."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return str(value).strip().lower() in _YES or value == 1
