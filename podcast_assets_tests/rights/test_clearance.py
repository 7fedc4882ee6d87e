"""Which episodes may be released, why the others may not, and what is said of them."""

import datetime
import json
from typing import Any

import polars as pl
import pytest

from podcast_assets.rights.clearance import CLEARANCE, clearance_advice, decide_clearance
from podcast_assets.rights.licences import LicenceRules
from podcast_assets.store.schema import RAW_AUDIO, make_table, schema
from podcast_assets.store.schema_beside import RIGHTS, TAKEDOWNS
from podcast_assets.store.takedown_records import new_record

RULES = LicenceRules.of("public-domain,cc-by,cc-by-sa")
AT = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def episode(batch: str, identity: str, *, metadata: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    about = {"sha256": f"sha-{batch}-{identity}", "duration": 3600.0, "status": "done"}
    return {
        "batch": batch,
        **dict.fromkeys(RAW_AUDIO),
        "episode_id": identity,
        **about,
        "metadata": json.dumps(metadata) if metadata else None,
        **values,
    }


def said(identity: str, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(RIGHTS) | {"episode_id": identity, "blocked": False, "observed_at": AT, "taken": True} | values


def cleared(
    *episodes: dict[str, Any],
    ledger: list[dict[str, Any]] | None = None,
    takedowns: list[dict[str, Any]] | None = None,
    rules: LicenceRules = RULES,
) -> pl.DataFrame:
    rows = pl.DataFrame(list(episodes), schema={"batch": pl.String, **schema(RAW_AUDIO)})
    found = decide_clearance(rows, make_table(ledger or [], RIGHTS), make_table(takedowns or [], TAKEDOWNS), rules)
    assert found.schema == schema(CLEARANCE)
    return found


def reasons(found: pl.DataFrame) -> dict[str, str | None]:
    return {f"{b}/{e}": r for b, e, r in found.select("batch", "episode_id", "reason").iter_rows()}


def test_the_licence_decides_and_the_reason_says_what_was_wrong() -> None:
    found = cleared(
        episode("a", "open", license="cc-by-4.0"),
        episode("a", "closed", license="cc-by-nd-4.0"),
        episode("a", "none"),
        episode("a", "odd", license="ask us first"),
        episode("a", "linked", metadata={"license_url": "https://creativecommons.org/licenses/by-sa/4.0/"}),
        episode("a", "failed", license="cc-by-4.0", status="failed"),
    )
    assert reasons(found) == {
        "a/closed": "license_not_allowed",
        "a/linked": None,
        "a/none": "license_missing",
        "a/odd": "license_unknown",
        "a/open": None,
    }
    assert found["cleared"].to_list() == [False, True, False, False, True]
    assert "PODCAST_LICENSES" in found.row(0, named=True)["detail"]


@pytest.mark.parametrize(
    ("name", "link", "reason"),
    [
        ("cc-by-4.0", "https://creativecommons.org/licenses/by/4.0/", None),
        ("CC BY", "https://creativecommons.org/licenses/by/4.0/", None),
        ("public domain", "https://creativecommons.org/publicdomain/zero/1.0/", None),
        ("cc-by-4.0", "https://show.example/about", None),
        ("cc-by-4.0", "https://creativecommons.org/licenses/by-nd/4.0/", "license_conflict"),
        ("all rights reserved", "https://creativecommons.org/licenses/by/4.0/", "license_unknown"),
    ],
)
def test_a_name_and_a_link_must_not_say_two_things(name: str, link: str, reason: str | None) -> None:
    found = cleared(episode("a", "e"), ledger=[said("e", license=name, license_url=link)])
    assert found["reason"].to_list() == [reason]


def test_the_latest_ledger_entry_overrides_what_came_with_the_episode() -> None:
    closed = cleared(episode("a", "e", license="cc-by-4.0"), ledger=[said("e", license="all rights reserved")])
    withdrawn = cleared(episode("a", "e", license="cc-by-4.0"), ledger=[said("e")])
    opened = cleared(episode("a", "e", license="cc-by-nd-4.0"), ledger=[said("e", license="cc-by-4.0")])
    assert [reasons(f)["a/e"] for f in (closed, withdrawn, opened)] == ["license_unknown", "license_missing", None]


def test_a_block_and_an_opt_out_go_before_any_licence() -> None:
    ledger = [said("blocked", license="cc-by-4.0", blocked=True, feed="https://show.example/feed")]
    episodes = (
        episode("a", "blocked", license="cc-by-4.0"),
        episode("a", "reserved", license="cc-by-4.0", metadata={"opt_out": "yes"}),
        episode("a", "tdm", license="cc-by-4.0", metadata={"tdm_reservation": 1}),
        episode("a", "willing", license="cc-by-4.0", metadata={"opt_out": "no"}),
    )
    found = reasons(cleared(*episodes, ledger=ledger))
    assert found == {"a/blocked": "blocked", "a/reserved": "opted_out", "a/tdm": "opted_out", "a/willing": None}
    agreed = LicenceRules.of("cc-by", ["https://show.example/feed"])
    assert reasons(cleared(*episodes, ledger=ledger, rules=agreed))["a/blocked"] is None


def test_what_was_taken_down_is_known_by_episode_content_and_podcast() -> None:
    def taken_down(**values: list[str]) -> dict[str, Any]:
        return new_record("x", "episode", "x", "asked by the host", None, AT) | values

    episodes = (
        episode("a", "e1", license="cc0-1.0", sha256="s1", podcast_id="p1"),
        episode("b", "e2", license="cc0-1.0", sha256="s2", earlier_sha256=["s0"], podcast_id="p1"),
        episode("c", "e3", license="cc0-1.0", sha256="s3", podcast="A Show"),
    )
    for record, gone in [
        ({"episode_ids": ["e1"]}, ["a/e1"]),
        ({"sha256": ["s2"]}, ["b/e2"]),
        ({"sha256": ["s0"]}, ["b/e2"]),
        ({"podcast_ids": ["p1"]}, ["a/e1", "b/e2"]),
        ({"podcast_titles": ["A Show"]}, ["c/e3"]),
    ]:
        found = cleared(*episodes, takedowns=[taken_down(**record)])
        assert [k for k, r in reasons(found).items() if r == "taken_down"] == gone
        assert all("asked by the host" in d for d in found.filter(reason="taken_down")["detail"])


def test_of_copies_the_lowest_that_may_be_released_is_and_a_block_holds_for_all() -> None:
    copies = [
        episode("a", "x", sha256="same"),
        episode("b", "y", sha256="same", license="cc0-1.0"),
        episode("b", "z", sha256="same", license="cc0-1.0"),
        episode("c", "y", sha256="same", license="cc0-1.0"),
    ]
    found = cleared(*copies)
    assert reasons(found) == {"a/x": "license_missing", "b/y": None, "b/z": "duplicate", "c/y": "duplicate"}
    assert "b/y" in found.filter(reason="duplicate")["detail"][0]
    blocked = cleared(*copies, ledger=[said("z", blocked=True)])
    assert set(reasons(blocked).values()) == {"blocked"}


def test_the_attribution_names_title_podcast_source_and_licence_and_no_secret() -> None:
    metadata = {"url": "https://u:secret@cdn.example/e.mp3?token=secret", "author": "Ada"}
    (line,) = cleared(episode("a", "e", title="One", podcast="A Show", license="cc by 4.0", metadata=metadata))[
        "attribution"
    ]
    assert (
        line
        == "“One”, A Show by Ada, https://cdn.example/e.mp3, CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/)"
    )
    paged = cleared(episode("a", "e", license="cc0", metadata=metadata | {"link": "https://show.example/1"}))
    assert paged["source_url"].to_list() == ["https://show.example/1"]
    assert paged["attribution"].to_list() == [
        "Episode e, Ada, https://show.example/1, CC0-1.0 (https://creativecommons.org/publicdomain/zero/1.0/)"
    ]


def test_where_all_is_withheld_people_are_told_what_to_set() -> None:
    nothing = cleared(episode("a", "none"), episode("a", "nc", license="cc-by-nc-4.0"))
    words = clearance_advice(nothing, RULES) or ""
    assert "all 2 episodes are withheld" in words
    assert "column `license`" in words
    assert "PODCAST_LICENSES" in words
    assert "CC-BY-NC-4.0" in words
    assert clearance_advice(cleared(episode("a", "e", license="cc0-1.0")), RULES) is None
    assert clearance_advice(cleared(), RULES) is None


def test_an_entry_that_is_no_licence_and_that_nobody_declares_is_told() -> None:
    rules = LicenceRules.of("cc0-1.0, Public-Domain, cc-by, *, by  Agreement, cc-bye")
    found = cleared(episode("a", "e", license="cc0-1.0"), episode("a", "f", license="By agreement"), rules=rules)
    assert found["cleared"].all()
    words = clearance_advice(found, rules) or ""
    assert "cc-bye" in words and "agreement," not in words and "domain" not in words
