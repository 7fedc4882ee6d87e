"""`podcast-assets moderation …`: what people see before they apply a moderation policy."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podcast_assets.cli.main import main
from podcast_assets.store.store import Store
from podcast_assets_tests.defs.test_content_flags import POLITE, RUDE, say
from podcast_assets_tests.doubles import classifier
from podcast_assets_tests.doubles.classifier import write_policy
from podcast_assets_tests.noise_batch import commit_noise


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a batch in which three episodes speak."""
    classifier.install(monkeypatch)
    store = Store.at(tmp_path / "store")
    commit_noise(store, "b")
    say(store, {"one": [POLITE, RUDE], "two": [POLITE, "It was a bad day."], "three": ["mumble", ""]})
    return tmp_path / "store"


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["moderation", *map(str, arguments)])


def test_the_list_names_policies_of_ones_own_and_those_that_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_policy(tmp_path / "own", "mine")
    write_policy(tmp_path / "own", "profanity", engine="openai")
    (tmp_path / "own" / "README.md").write_text("# not a policy")
    monkeypatch.setenv("PODCAST_MODERATION_POLICIES", str(tmp_path / "own"))
    monkeypatch.setenv("PODCAST_MODERATION", "mine")
    rows = {row["name"]: row for row in json.loads(command("list", "--json").stdout)}
    assert {name: (row["engine"], row["chosen"]) for name, row in rows.items()} == {
        "harmful": ("openai", False),
        "mine": ("double", True),
        "profanity": ("openai", False),
    }
    assert rows["mine"]["labels"] == ["bad", "worse"]
    assert "mine 1 chosen" in " ".join(command("list").output.split())


def test_show_checks_a_file_and_names_the_line_of_an_error(tmp_path: Path) -> None:
    file = write_policy(tmp_path, "mine")
    shown = command("show", file, "--probes")
    assert shown.exit_code == 0, shown.output
    assert "mine.worse" in shown.output
    assert "a bad word" in shown.output
    broken = write_policy(tmp_path, "broken", changes={"### (WRS): Worse": "### Worse"})
    result = command("show", broken)
    assert result.exit_code != 0
    line = file.read_text().splitlines().index("### (WRS): Worse") + 1
    assert f"{broken}, line {line}: the heading of a label must be like" in str(result.output) + str(result.exception)


def test_a_trial_shows_a_sample_and_what_all_would_take_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    file = write_policy(tmp_path / "own", "mine")
    result = command("try", file, "--store", folder, "--sample", "2", "--json")
    assert result.exit_code == 0, result.output
    trial = json.loads(result.stdout)
    assert (trial["episodes"], trial["windows"], len(trial["sample"])) == (3, 3, 2)
    words = [len(x["text"].split()) for x in trial["sample"]]
    total = 2 * len(POLITE.split()) + len(RUDE.split()) + len("It was a bad day. mumble".split())
    assert trial["estimate"]["tokens_in"] == round(200 * total / sum(words))
    assert trial["estimate"]["price"] == pytest.approx(0.02 * total / sum(words))
    people = " ".join(command("try", file, "--store", folder).output.split())
    assert "calibration probes: 2 of 2 right" in people
    assert "bad 0.80 flagged" in people
    for said in ("the answer is", "'maybe'", "needs_review"):  # a narrow terminal wraps cells
        assert said in people
    assert "all: 3 windows of 3 episodes" in people
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_trial_says_when_the_probes_come_out_wrong(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODCAST_ENGINES", '{"double": {"wrong": true}}')
    result = command("try", write_policy(tmp_path / "own", "mine"), "--store", folder)
    assert result.exit_code == 0, result.output
    assert "calibration probes: 0 of 2 right; with wrong ones content_flags judges nothing" in result.output
    assert "'a bad word' (bad) should be flagged, but the answer is 0.10" in result.output


def test_it_needs_transcripts(tmp_path: Path) -> None:
    result = command("try", "profanity", "--store", tmp_path, "--batch", "x")
    assert result.exit_code != 0
    assert "batch x: raw_audio is not materialized" in str(result.output) + str(result.exception)
