from podcast_assets.quality.policies.evidence import DERIVED, EVIDENCE, collect_evidence
from podcast_assets.store.schema import QUALITY_SCORES, SEGMENTS, TRANSCRIPTS, Columns, make_table, schema


def row(columns: Columns, identity: str, **given: object) -> dict[str, object]:
    return {**dict.fromkeys(columns), "segment_id": identity, **given}


SCORES = make_table([row(QUALITY_SCORES, s, degraded=False) for s in ("b", "a", "c")], QUALITY_SCORES)
SPOKEN = make_table(
    [row(SEGMENTS, "a", flags=["no_speakers"], speaker="A", duration=2.0), row(SEGMENTS, "b", flags=[])], SEGMENTS
)
TEXTS = make_table(
    [row(TRANSCRIPTS, "a", flags=["fallback", "no_speakers"], text="Hi, you"), row(TRANSCRIPTS, "b", text=None)],
    TRANSCRIPTS,
)


def test_each_score_finds_its_segment_and_text_in_the_order_of_the_scores() -> None:
    found = collect_evidence(SCORES, SPOKEN, TEXTS)
    assert found["segment_id"].to_list() == ["b", "a", "c"]
    assert found["speaker"].to_list() == [None, "A", None]
    assert found["flags"].to_list() == [[], ["no_speakers", "fallback"], []]
    assert found["seconds_per_character"].to_list() == [None, 2.0 / 5, None]


def test_its_columns_are_those_that_rules_are_checked_against() -> None:
    found = collect_evidence(SCORES.drop("keep", "reject_reasons", "policy"), SPOKEN, TEXTS)
    assert dict(found.schema) == dict(schema(EVIDENCE))
    assert set(DERIVED) < set(EVIDENCE)
