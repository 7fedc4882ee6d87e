"""The card of a dataset: what the Hub reads of it, and what people do."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from huggingface_hub import DatasetCard
from markdown_it import MarkdownIt

from podcast_assets.release.card.facts import NOT_RELEASED, DatasetFacts
from podcast_assets.release.card.header import hub_licences, size_category
from podcast_assets.release.card.write import render_card, render_readme
from podcast_assets.release.published import EPISODES, SEGMENTS, PublishedShard
from podcast_assets.store.schema import HF_SHARDS, empty_table, make_table, schema

pytestmark = pytest.mark.readers

MADE_WITH = {"version": "3", "routes": {"*": {"model": "`|\n"}}, "packages": {"a|b": "1"}}


@pytest.fixture
def no_pictures() -> None:
    """What is drawn is tested here."""


def facts(**changes: Any) -> DatasetFacts:
    rows = [
        dict.fromkeys(HF_SHARDS)
        | {"segment_id": f"e{n % 3}-{n}", "episode_id": f"e{n % 3}", "duration": 30.0 + n, "keep": n % 5 > 0}
        | {"language": "de" if n % 4 == 0 else "en", "split": "test" if n % 3 == 2 else "train", "speaker": f"S{n % 2}"}
        | {"reject_reasons": ["too noisy"] if n % 5 == 0 else [], "dnsmos_ovrl": 2.0 + n % 3, "snr_db": float(n)}
        for n in range(60)
    ]
    about = [
        {
            "episode_id": "e0",
            "podcast": "One | *show*",
            "license": "CC-BY-4.0",
            "attribution": "<b>A</b>",
            "duration": 3600.0,
        },
        {"episode_id": "e1", "podcast": "Other", "license": "CC0-1.0", "attribution": None, "duration": 60.0},
        {"episode_id": "e2", "podcast": None, "license": None, "attribution": None, "duration": None},
    ]
    found = DatasetFacts(
        repo="owner/some-talk",
        metadata=make_table(rows, HF_SHARDS),
        episodes=pl.DataFrame(about),
        shards=[
            shard("data/en/train/audio_000000.tar", 30),
            shard("data/en/train/audio_000002.tar", 10),
            shard("data/en/test/audio_000000.tar", 5),
            shard("data/de/train/audio_000000.tar", 15),
            shard("episode_data/en/train/audio_000000.tar", 2, EPISODES),
        ],
        pipeline={"engines": {"x": {"stage": "transcribe", "engine": "whisper", "made_with": MADE_WITH}}},
        codec="opus",
        sample_rate=24_000,
        policy="asr-v1",
        not_released=make_table([{"reason": "no licence | at all", "episodes": 7, "hours": 12.5}], NOT_RELEASED),
    )
    return replace(found, **changes)


def shard(path: str, samples: int, grain: str = SEGMENTS) -> PublishedShard:
    _, language, split, _ = path.split("/")
    return PublishedShard(path, "0" * 64, 1000 * samples, samples, 0.1, language, split, grain, ())


def head(about: DatasetFacts) -> dict[str, Any]:
    return DatasetCard(text(about)).data.to_dict()


def text(about: DatasetFacts) -> str:
    return render_readme(about, {})


def test_what_the_hub_reads() -> None:
    found = head(facts())
    assert found["language"] == ["de", "en"]
    assert found["license"] == ["cc-by-4.0", "cc0-1.0"]
    assert (found["size_categories"], found["pretty_name"]) == ("n<1K", "some talk")
    assert found["task_categories"] == ["automatic-speech-recognition", "text-to-speech"]
    assert "extra_gated_prompt" not in found
    # the double of the Hub does not check it, the Hub does: only these are allowed
    assert set(found) <= set(
        "language license pretty_name size_categories task_categories annotations_creators language_creators source_datasets "
        "multilinguality tags configs dataset_info".split()
    )


def test_configurations() -> None:
    found = head(facts())
    paths = {c["config_name"]: {d["split"]: d["path"] for d in c["data_files"]} for c in found["configs"]}
    assert paths == {
        "all": {"train": "data/*/train/audio_*.tar", "test": "data/*/test/audio_*.tar"},
        "de": {"train": "data/de/train/audio_*.tar"},
        "en": {"train": "data/en/train/audio_*.tar", "test": "data/en/test/audio_*.tar"},
        "episodes-all": {"train": "episode_data/*/train/audio_*.tar"},
        "episodes-en": {"train": "episode_data/en/train/audio_*.tar"},
    }
    assert [c["config_name"] for c in found["configs"] if c.get("default")] == ["all"]
    infos = {i["config_name"]: i for i in found["dataset_info"]}
    assert infos.keys() == paths.keys()
    assert {s["name"]: s["num_examples"] for s in infos["en"]["splits"]} == {"train": 40, "test": 5}
    assert [f["name"] for f in infos["en"]["features"]] == ["__key__", "__url__", "json", "opus"]


def test_gating() -> None:
    found = head(facts(gated=True))
    assert found["extra_gated_fields"]["I agree to these terms"] == "checkbox"
    assert "licence" in found["extra_gated_prompt"]


def test_numbers_that_people_look_for() -> None:
    found = text(facts())
    assert "| no licence \\| at all | 7 | 12.50 |" in found
    assert "The policy `asr-v1` keeps" in found
    assert r"| transcribe | whisper | 3 | `'\|` | a\|b 1 |" in found
    hours = facts().metadata["duration"].sum() / 60
    assert f"{hours:.1f} minutes of speech" in found
    assert "| One \\| \\*show\\* | CC-BY-4.0 | 1 |" in found
    assert "Numbers are missing between these" in found


def test_pictures_are_there_and_shown() -> None:
    files = render_card(facts())
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", files["README.md"].decode())
    assert shown == ["assets/quality.png", "assets/policy.png"]
    assert set(files) == {"README.md", *shown}
    assert all(files[path].startswith(b"\x89PNG") for path in shown)


def test_tables_are_tables() -> None:
    body = text(facts()).split("\n---\n", 1)[1]
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    widths: list[set[int]] = []
    cells = 0
    for token in tokens:
        if token.type == "table_open":
            widths.append(set())
        elif token.type == "tr_open":
            cells = 0
        elif token.type in ("td_open", "th_open"):
            cells += 1
        elif token.type == "tr_close":
            widths[-1].add(cells)
    assert len(widths) == 7
    assert all(len(w) == 1 for w in widths)
    assert not [t for t in tokens if t.type == "html_block"]


def test_the_same_facts_give_the_same_bytes() -> None:
    assert render_card(facts()) == render_card(facts())


def test_only_what_is_kept() -> None:
    about = facts()
    kept = replace(about, metadata=about.metadata.filter("keep"))
    assert set(render_card(kept)) == {"README.md", "assets/quality.png"}
    assert "only those segments are included" in text(kept)


def test_an_empty_dataset_has_a_card() -> None:
    """Everything was taken down."""
    nothing = facts(
        metadata=empty_table(HF_SHARDS),
        episodes=pl.DataFrame(),
        shards=[],
        pipeline={},
        policy="",
        not_released=empty_table(NOT_RELEASED),
    )
    files = render_card(nothing)
    assert set(files) == {"README.md"}
    assert head(nothing)["license"] == "unknown"


def test_scores_that_nobody_made() -> None:
    about = facts()
    unscored = about.metadata.with_columns(
        pl.lit(None, pl.Float64).alias(c)
        for c in about.metadata.columns
        if schema(HF_SHARDS)[c] == pl.Float64 and c != "duration"
    )
    assert render_card(replace(about, metadata=unscored))


@pytest.mark.parametrize(
    ("samples", "name"), [(0, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**8, "100M<n<1B")]
)
def test_sizes(samples: int, name: str) -> None:
    assert size_category(samples) == name


@pytest.mark.parametrize(
    ("licences", "found"),
    [
        (["CC-BY-4.0"], ["cc-by-4.0"]),
        (["CC-BY-3.0-FR", "CC0-1.0"], ["cc0-1.0", "other"]),
        (["agreed by letter"], ["other"]),
        ([], ["unknown"]),
    ],
)
def test_licences_as_the_hub_names_them(licences: list[str], found: list[str]) -> None:
    assert hub_licences(licences) == found


def test_names_from_feeds_do_not_break_the_head(tmp_path: Path) -> None:
    about = facts(repo="owner/a---b", policy="x`y")
    assert yaml.safe_load(text(about).split("\n---\n")[0].removeprefix("---\n"))["pretty_name"] == "a   b"
