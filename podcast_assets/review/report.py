"""The report on a sample: error rates, agreement and reviewers, from the catalog."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Engine, select

from podcast_assets.catalog.migrate import check_version
from podcast_assets.catalog.tables import SAMPLES, SEGMENTS
from podcast_assets.common.errors import BadInput
from podcast_assets.review.agreement import Agreement
from podcast_assets.review.decisions import read_decisions
from podcast_assets.review.measure import (
    SampledSegment,
    agreement_of_looks,
    agreement_of_reviewers,
    looks_by_item,
    measure_sample,
    reviewer_figures,
)
from podcast_assets.review.queues import Criteria
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.samples import newest_sample
from podcast_assets.review.settling import required_looks, standing_decisions
from podcast_assets.store.review_tables import write_report
from podcast_assets.store.store import Store

PRIVATE = ("pairs", "alphas", "reviewers")
"""Parts of a report that name reviewers, or that a card has no room for; they stay out of the store."""


def make_report(
    engine: Engine, sample: str | None = None, second_look: float = Criteria().second_look
) -> dict[str, Any]:
    """Compute the report: JSON values.

    Agreement is that of items whose second look was due in any case: those of the sample, and the random share. Items that got one
    because the first reviewer contradicted the model are harder than others, and would make agreement look worse than it is.

    Args:
        engine: engine of the catalog.
        sample: name of the sample; the newest if it is None. Figures of reviewers are of all decisions, sampled or not.
        second_look: share of items that a second reviewer looks at, whatever the first one says.

    Raises:
        BadInput: there is no sample of that name.
        Misconfigured: the catalog's tables are of another version, or do not exist.
    """
    name = sample or newest_sample(engine)
    segments = _read_sample(engine, name) if name else []
    if sample and not segments:
        raise BadInput(f"there is no sample {sample}: `podcast-assets review sample` draws one")
    decisions = list(read_decisions(engine))
    looks = looks_by_item(decisions)
    machine = {segment.ref: segment for segment in segments}
    measured = measure_sample(segments, looks)
    compared = [one for one in looks.values() if one.ref in machine or required_looks(one.ref, second_look) > 1]
    by_label = agreement_of_reviewers(compared, machine)
    return {
        "sample": name,
        "word_error_rate": asdict(measured.word_error_rate),
        "by_language": {language: asdict(rate) for language, rate in measured.by_language.items()},
        "between_reviewers": measured.between_reviewers,
        "segments_in_population": measured.population,
        "segments_sampled": measured.sampled,
        "segments_reviewed_twice": measured.reviewed_twice,
        "segments_waiting": measured.waiting,
        "segments_disputed": measured.disputed,
        "seconds_reviewed": measured.seconds_reviewed,
        "kappas": [
            {"label": label, "kappa": found.value, **_without_value(found)}
            for label, found in agreement_of_looks(compared, machine).items()
            if found.items
        ],
        "pairs": [
            {
                "label": one.label,
                "raters": list(pair.raters),
                "kappa": pair.agreement.value,
                **_without_value(pair.agreement),
            }
            for one in by_label
            for pair in one.pairs
        ],
        "alphas": [
            {"label": one.label, "alpha": one.alpha.value, **_without_value(one.alpha)}
            for one in by_label
            if one.alpha.items
        ],
        "reviewers": [asdict(one) for one in reviewer_figures(looks.values(), standing_decisions(decisions))],
    }


def publish_report(engine: Engine, store: Store, second_look: float = Criteria().second_look) -> bool:
    """Write the report on the newest sample to the store, where releases read it, without reviewers' names.

    Returns:
        Whether it differs from the one before. Without a sample and second looks, nothing is written.
    """
    report = make_report(engine, second_look=second_look)
    if not report["segments_sampled"] and not report["kappas"]:
        return False
    return write_report(store, {name: value for name, value in report.items() if name not in PRIVATE})


def _without_value(found: Agreement) -> Mapping[str, Any]:
    return {"low": found.low, "high": found.high, "items": found.items, "observed": found.observed}


def _read_sample(engine: Engine, name: str) -> list[SampledSegment]:
    """Read a sample. Segments that are not there any more are left out, as if they had never been in their stratum."""
    m, s = SAMPLES.c, SEGMENTS.c
    query = (
        select(m.batch, m.episode_id, m.item_id, m.stratum, m.weight, s.duration, s.text, s.text_language, s.language)
        .join_from(SAMPLES, SEGMENTS, (m.batch == s.batch) & (m.item_id == s.segment_id))
        .where(m.sample == name, m.item_kind == "segment")
        .order_by(m.batch, m.item_id)
    )
    with engine.connect() as connection:
        check_version(connection)
        return [
            SampledSegment(
                ItemRef.segment(row.batch, row.episode_id, row.item_id),
                row.stratum or "all",
                row.weight or 1.0,
                row.duration,
                row.text or "",
                row.text_language or row.language,
            )
            for row in connection.execute(query)
        ]
