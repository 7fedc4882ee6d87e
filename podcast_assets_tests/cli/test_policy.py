"""`podcast-assets policy …`: what people see before they apply a policy."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from podcast_assets.cli.main import main
from podcast_assets.quality.policies.policy import load_policy
from podcast_assets.quality.policies.trial import try_policy
from podcast_assets.quality.table import add_text_and_policy
from podcast_assets.stages.score import Score
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, QUALITY_SCORES, empty_table
from podcast_assets.store.store import Store, table_key
from podcast_assets_tests.committed import commit_batch
from podcast_assets_tests.scored import commit_scored, tables

BAD = {"dnsmos_ovrl": 2.0}
SHORT = {"duration": 2.0}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two batches that were judged by `all`: 40 s and 3 s of bad sound, 20 s and 12 s of good."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("PODCAST_POLICY", raising=False)
    store = Store.at(tmp_path)
    commit_scored(store, "one", {}, {}, BAD, BAD, BAD, BAD)
    commit_scored(store, "two", {}, SHORT, {**SHORT, **BAD}, {**BAD, "duration": 1.0, "keep": False})
    return tmp_path


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["policy", *map(str, arguments)])


def test_what_a_policy_would_keep_in_hours_by_reason(folder: Path) -> None:
    result = command("try", "emilia", "--store", folder, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["policy"], found["in_force"], found["batches"]) == ("emilia-v1", ["all-v1"], ["one", "two"])
    assert found["everything"] == {"segments": 10, "hours": round(75 / 3600, 4)}
    assert found["kept"] == {"segments": 3, "hours": round(30 / 3600, 4)}
    assert found["kept_in_force"]["segments"] == 9
    assert (found["gained"]["segments"], found["lost"]["segments"]) == (0, 6)
    reasons = {row.pop("reason"): row for row in found["reasons"]}
    assert list(reasons) == ["shorter than 3 s", "DNSMOS below 3.0"]
    assert reasons["DNSMOS below 3.0"] == {
        "segments": 6,
        "hours": round(43 / 3600, 4),
        "first_segments": 4,
        "first_hours": round(40 / 3600, 4),
        "own_segments": 4,
        "own_hours": round(40 / 3600, 4),
    }


def test_the_words_for_people_say_the_same_and_change_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    result = command("try", "emilia", "--batch", "one", "--store", folder)
    assert result.exit_code == 0, result.output
    assert "emilia-v1 tried on batch one; in force now: all-v1. Nothing is changed." in result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "kept by emilia-v1 2 0.33 33.3%" in lines
    assert "would no longer be kept 4 0.67 66.7%" in lines
    assert "DNSMOS below 3.0 0.67 0.33 0.67 0.67 4" in lines
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before


def test_a_trial_is_what_the_table_says_once_the_policy_is_applied(tmp_path: Path) -> None:
    texts = (
        "we talk about bridges and who pays for them",
        "the river was higher than in any year before",
        "good morning",
    )
    said = [{"text": text} for text in texts]
    made = tables(
        {},
        BAD | said[0],
        SHORT | said[1],
        {"text": "thank you " * 20},
        {"overlap": 0.5} | said[2],
        {"text": "", "language": None},
    )
    scores, segments, transcripts = (made[a] for a in ("quality_scores", "diarized_segments", "transcripts"))
    store = Store.at(tmp_path)
    for asset, rows in {**made, "quality_scores": applied(scores, segments, transcripts, "all")}.items():
        commit(store, asset, "one", rows, empty_table(PROVENANCE), empty_table(FAILURES))
    for name in ("asr", "emilia", "tts"):
        trial = try_policy(store, load_policy(name), ["one"])
        judged = applied(scores, segments, transcripts, name)
        assert trial.kept.segments == judged.filter("keep").height, name
        assert 0 < trial.kept.segments < trial.everything.segments
        in_all = dict(trial.losses.select("reason", "segments").iter_rows())
        assert in_all == dict(judged["reject_reasons"].explode(empty_as_null=False).value_counts().iter_rows()), name


def applied(scores: pl.DataFrame, segments: pl.DataFrame, transcripts: pl.DataFrame, policy: str) -> pl.DataFrame:
    measured = scores.select(c for c in scores.columns if c in Score.columns)
    return add_text_and_policy(measured, segments, transcripts, load_policy(policy))


def test_reasons_can_be_read_in_a_narrow_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [" ".join(line.split()) for line in command("try", "emilia", "--store", folder).output.splitlines()]
    assert any(line.startswith("DNSMOS below 3.0 0.67") for line in lines)


def test_a_file_of_ones_own_is_tried_and_a_mistake_in_it_told(folder: Path) -> None:
    path = folder / "mine.toml"
    path.write_text('name = "mine"\nversion = 2\n[[rules]]\ncolumn = "snr_db"\nminimum = 99\nreason = "no studio"\n')
    assert json.loads(command("try", path, "--store", folder, "--json").stdout)["kept"]["segments"] == 0
    path.write_text(path.read_text().replace("snr_db", "utmos") + "optional = true\n")
    found = json.loads(command("try", path, "--store", folder, "--json").stdout)
    assert (found["kept"], found["notes"]) == (
        found["everything"],
        ["rule 'no studio' is inactive: there is no column utmos"],
    )
    assert "rule 'no studio' is inactive" in command("show", path).output
    path.write_text(path.read_text().replace("utmos", "snr").replace("optional = true", ""))
    result = command("try", path, "--store", folder)
    assert result.exit_code == 2
    assert "snr (did you mean snr_db?)" in " ".join(result.output.split())


def test_batches_that_cannot_be_tried_are_named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = Store.at(folder)
    commit_batch(store, "begun", without="quality_scores")
    result = command("try", "asr", "--batch", "begun", "--store", folder)
    assert result.exit_code == 2
    assert "batch begun: quality_scores is not materialized" in " ".join(result.output.split())
    old = store.read_table(table_key("quality_scores", "one"), QUALITY_SCORES)
    assert old is not None
    store.write_table(table_key("quality_scores", "one"), old.drop("snr_db"))
    assert json.loads(command("try", "all", "--store", folder, "--json").stdout)["notes"] == [
        "left out, as their tables are of another version, or damaged: one"
    ]
    (folder / table_key("transcripts", "two")).write_bytes(b"PAR1 cut off")
    assert "damaged: one, two" in command("try", "all", "--store", folder).output.replace("\n", " ")
    nothing = command("try", "asr", "--store", tmp_path_factory.mktemp("empty"))
    assert nothing.exit_code == 2
    assert "no batch" in nothing.output


def test_policies_are_listed_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCAST_POLICY", "tts")
    listed = json.loads(command("list", "--json").stdout)
    assert [row["name"] for row in listed] == ["all", "asr", "buckets", "emilia", "tts"]
    assert [row["name"] for row in listed if row["chosen"]] == ["tts"]
    assert all(row["description"] for row in listed)
    shown = command("show", "emilia").output
    assert "above 0.8" in shown
    assert "DNSMOS below 3.0" in shown
    rules = json.loads(command("show", "emilia", "--json").stdout)["rules"]
    assert {"column": "duration", "minimum": 3.0, "reason": "shorter than 3 s"} in rules
    unknown = command("show", "emila")
    assert unknown.exit_code == 2
    assert "did you mean emilia?" in " ".join(unknown.output.split())
