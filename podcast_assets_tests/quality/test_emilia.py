"""The policy `emilia` on cases computed by hand from the published rules: He et al. 2024, arXiv:2407.05361, and Emilia-Pipe."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from podcast_assets.quality.policies.evidence import collect_evidence
from podcast_assets.quality.policies.policy import apply_policy, load_policy
from podcast_assets.store.schema import QUALITY_SCORES, SEGMENTS, TRANSCRIPTS, make_table

UNUSUAL = "unusual average character duration"


def made(*rows: dict[str, Any]) -> pl.DataFrame:
    """Evidence of segments that are good unless a row says otherwise: 10 s, 100 characters, 0.1 s for each."""
    good = {"episode_id": "e", "duration": 10.0, "text": "a" * 100, "language": "en", "language_probability": 0.9}
    whole = [
        {**good, "dnsmos_ovrl": 3.2, "speaker": "A", "segment_id": f"s{n}", "segment_index": n, "flags": [], **row}
        for n, row in enumerate(rows)
    ]
    scores, segments, texts = (
        make_table([{column: row.get(column) for column in columns} for row in whole], columns)
        for columns in (QUALITY_SCORES, SEGMENTS, TRANSCRIPTS)
    )
    return collect_evidence(scores, segments, texts)


def reasons(*rows: dict[str, Any]) -> list[list[str]]:
    return apply_policy(made(*rows), load_policy("emilia"))["reject_reasons"].to_list()


def paced(seconds_per_character: float, characters: int = 100, **more: Any) -> dict[str, Any]:
    return {"duration": seconds_per_character * characters, "text": "a" * characters, **more}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"dnsmos_ovrl": 3.0}, []),
        ({"dnsmos_ovrl": 2.9999}, ["DNSMOS below 3.0"]),
        ({"dnsmos_ovrl": None}, ["DNSMOS below 3.0"]),
        ({"language_probability": 0.8}, ["language not certain"]),  # Emilia-Pipe: > 0.8
        ({"language_probability": 0.81}, []),
        ({"language_probability": None}, ["language not certain"]),
        ({"language": "es"}, ["not one of Emilia's languages"]),
        ({"language": "ko"}, []),
        ({"duration": 3.0, "text": "a" * 30}, []),
        ({"duration": 2.999, "text": "a" * 30}, ["shorter than 3 s"]),
        ({"duration": 30.0, "text": "a" * 300}, []),
        ({"duration": 30.001, "text": "a" * 300}, ["longer than 30 s"]),
    ],
)
def test_limits_of_single_segments(change: dict[str, Any], expected: list[str]) -> None:
    assert reasons(change)[0] == expected


def test_characters_are_those_that_emilia_pipe_counts() -> None:
    """Spaces and , . ! ? quotation marks, and their Chinese kin, do not count; hyphens, colons and digits do."""
    counted = made(
        {"text": 'Don\'t, he said - "4:30"!'},
        {"text": "你好，世界。“好”！"},  # noqa: RUF001
        {"text": " . "},
        {"text": "a"},
    )
    assert counted["characters"].to_list() == [4 + 2 + 4 + 1 + 4, 5, 0, 1]
    assert counted["seconds_per_character"].to_list() == [10 / 15, 2.0, None, 10.0]
    assert reasons(*[{"text": t} for t in (" . ", "a", "ab")])[:2] == [["fewer than 2 characters"]] * 2


def test_the_quartiles_of_the_average_character_duration() -> None:
    """0.08, 0.09, 0.10, 0.11, 0.12 s: Q1 0.09, Q3 0.11, so from 0.06 to 0.14 s; a sixth value moves them.

    With 0.20: sorted 0.08 0.09 0.10 0.11 0.12 0.20, Q1 at position 1.25: 0.0925, Q3 at 3.75: 0.1175, IQR 0.025, so from 0.055 to
    0.155 s.
    """
    usual = [paced(p) for p in (0.08, 0.09, 0.10, 0.11, 0.12)]
    assert reasons(*usual) == [[]] * 5
    assert reasons(*usual, paced(0.20))[-1] == [UNUSUAL]
    # with 0.15: Q1 0.0925, Q3 0.1175 as before: 0.15 is inside
    assert reasons(*usual, paced(0.15)) == [[]] * 6
    # with 0.05: sorted 0.05 0.08 0.09 0.10 0.11 0.12, Q1 0.0825, Q3 0.1075, IQR 0.025, fences 0.045 and 0.145: inside
    assert reasons(*usual, paced(0.05)) == [[]] * 6
    assert reasons(*usual, paced(0.04))[-1] == [UNUSUAL]


def test_the_quartiles_are_of_one_episode() -> None:
    slow = [paced(p, 50, episode_id="slow") for p in (0.28, 0.29, 0.30, 0.31, 0.32)]
    usual = [paced(p) for p in (0.08, 0.09, 0.10, 0.11, 0.12)]
    assert reasons(*usual, *slow) == [[]] * 10
    assert reasons(*usual, paced(0.30), *slow)[5] == [UNUSUAL]


def test_what_emilia_pipe_does_not_transcribe_moves_no_quartile() -> None:
    """Another language, an uncertain one, and what is shorter than 3 s are gone before quartiles are taken; DNSMOS comes after."""
    usual = [paced(p) for p in (0.08, 0.09, 0.10, 0.11, 0.12)]
    gone = [paced(0.20, language="es"), paced(0.20, language_probability=0.5), paced(0.25, characters=10)] * 5
    assert reasons(*usual, paced(0.20), *gone)[5] == [UNUSUAL]
    counted = [paced(0.20, dnsmos_ovrl=1.0)] * 5
    assert reasons(*usual, paced(0.20), *counted)[5] == []


def test_all_that_emilia_pipe_keeps_and_nothing_else() -> None:
    """A seeded episode of 500 segments against the same rules in plain numpy."""
    random = np.random.default_rng(5)
    rows = [
        paced(
            float(max(0.01, random.normal(0.1, 0.03))),
            characters=int(random.integers(0, 280)),
            language=str(random.choice(["en", "de", "es"])),
            language_probability=float(random.uniform(0.7, 1)),
            dnsmos_ovrl=float(random.uniform(2.5, 3.6)),
        )
        for _ in range(500)
    ]
    rows = [{**row, "duration": row["duration"] or 5.0} for row in rows]
    heard = [r for r in rows if r["language"] != "es" and r["language_probability"] > 0.8 and r["duration"] >= 3]
    paces = [r["duration"] / len(r["text"]) for r in heard if r["text"]]
    q1, q3 = np.percentile(paces, [25, 75])
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    kept = [
        r
        for r in heard
        if r["duration"] <= 30
        and r["dnsmos_ovrl"] >= 3
        and len(r["text"]) >= 2
        and low <= r["duration"] / len(r["text"]) <= high
    ]
    judged = apply_policy(made(*rows), load_policy("emilia"))
    assert 0 < len(kept) < len(heard) < 500
    assert judged.filter("keep")["segment_id"].to_list() == [f"s{n}" for n, r in enumerate(rows) if r in kept]
