"""Moderation policies as people write them: what is read of them, and errors that name the file and the line."""

import hashlib
from pathlib import Path

import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.moderation.policies.load import load_policies, load_policy, policy_files
from podcast_assets.moderation.policies.policy_file import parse_policy
from podcast_assets.stages.profiles import choose_profile
from podcast_assets_tests.doubles.classifier import write_policy

EXAMPLE = (policy_files(None)["harmful"]).read_bytes().decode()


def line_of(text: str, words: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), start=1) if words in line)


def test_the_policies_of_the_package_can_be_loaded() -> None:
    for name in policy_files(None):
        policy = load_policy(name)
        assert policy.name == name
        assert {p.flagged for p in policy.probes} == {True, False}
        assert sum(p.flagged for p in policy.probes) >= 2
        assert sum(not p.flagged for p in policy.probes) >= 2


def test_what_is_read_of_a_policy() -> None:
    policy = parse_policy(EXAMPLE.encode(), "harmful.md")
    assert policy.hash == hashlib.sha256(EXAMPLE.encode()).hexdigest()
    label = policy.label("hate_speech")
    assert (label.code, label.name) == ("HS", "Hate speech")
    assert label.includes.startswith("- Calling people subhuman")
    assert label.excludes.endswith("members of a group of themselves")
    assert label.definition.startswith("### (HS): Hate speech\n\n#### Includes\n")
    assert "Harassment" not in label.definition
    assert policy.text.startswith("# Harmful content\n")
    assert "probes" not in policy.text
    assert [p.label for p in policy.probes if p.flagged] == ["hate_speech", "threats_of_violence"]


def test_thresholds_are_named_by_slug_or_code(tmp_path: Path) -> None:
    policy = load_policy(str(write_policy(tmp_path, "mine")))
    assert {label.slug: label.threshold for label in policy.labels} == {"bad": 0.5, "worse": 0.9}


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("### (SH): Self-harm", "### Self-harm", "### Self-harm", "the heading of a label must be like"),
        ("#### Excludes", "#### Exclude", "### (HS)", "Hate speech has no section `#### Excludes`"),
        ("(HA): Harassment", "(HA): Hate Speech", "(HA): Hate Speech", "two labels are called hate_speech"),
        ("(HA): Harassment", "(HS): Harassment", "### (HS)", "two labels have the code"),
        ("(HA): Harassment", "(HA): Needs review", "(HA)", "a label cannot be called 'Needs review'"),
        ("threshold: 0.5", "threshold: 5", "threshold: 5", "threshold: Input should be less than or equal to 1"),
        ("threshold: 0.5", "thresholds: {hat: 0.5}", "thresholds", "there is no label 'hat'"),
        ("label: hate_speech", "label: hate", "label: hate", "there is no label 'hate'"),
        ("name: harmful", "name: Very Harmful", "name:", "name: String should match"),
        ("engine: openai", "engines: openai", "engines:", "engines: Extra inputs are not permitted"),
        ("engine: openai", "engine openai", "threshold: 0.5", "the front matter is not valid YAML"),
        ("engine: openai", "language: klingonese", "", "engine: Field required"),
        ("engine: openai", "engine: openai\nlanguage: xx-what", "language", "not a language code"),
    ],
)
def test_an_error_names_the_file_and_the_line(old: str, new: str, at: str, says: str) -> None:
    text = EXAMPLE.replace(old, new, 1)
    assert text != EXAMPLE
    with pytest.raises(Misconfigured) as caught:
        parse_policy(text.encode(), "mine.md")
    line = line_of(text, at) if at else 2
    assert str(caught.value).startswith(f"mine.md, line {line}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"# Policy\n", "mine.md, line 1: the file must begin with front matter"),
        (b"---\nname: x\n", "mine.md, line 1: the front matter is not closed"),
        (b"---\nname: x\n\xff\n---\n", "mine.md, line 3: not UTF-8"),
        (b"---\n- x\n---\n", "mine.md, line 2: the front matter must have the lines"),
        (
            b"---\nname: !!python/object/apply:os.system [ls]\n---\n",
            "mine.md, line 2: the front matter is not valid YAML",
        ),
    ],
)
def test_files_that_are_no_policies(content: bytes, says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        parse_policy(content, "mine.md")
    assert says in str(caught.value)


def test_headings_inside_of_a_code_block_are_no_labels() -> None:
    text = EXAMPLE.replace("- Banter between", "```\n### not a label\n#### Includes\n```\n\n- Banter between")
    assert [x.code for x in parse_policy(text.encode(), "x").labels] == ["HS", "HA", "SH", "TV", "SX"]


def test_a_policy_without_probes_is_refused() -> None:
    begin, end = EXAMPLE.index("probes:"), EXAMPLE.index("---\n", 4)
    with pytest.raises(Misconfigured, match="write at least one text that is to be flagged and one that is not"):
        parse_policy((EXAMPLE[:begin] + EXAMPLE[end:]).encode(), "x")


def test_ones_own_folder_takes_precedence_and_names_must_agree(tmp_path: Path) -> None:
    write_policy(tmp_path, "harmful")
    mine, profanity = load_policies("harmful, profanity", str(tmp_path))
    assert (mine.engine, profanity.engine) == ("double", "profanity")
    (tmp_path / "other.md").write_bytes((tmp_path / "harmful.md").read_bytes())
    with pytest.raises(Misconfigured, match="rename the file, or the policy to 'other'"):
        load_policy("other", str(tmp_path))
    with pytest.raises(
        Misconfigured, match="no moderation policy is called 'nothing'; there are: harmful, other, profanity"
    ):
        load_policy("nothing", str(tmp_path))
    with pytest.raises(Misconfigured, match="is not a folder"):
        load_policy("harmful", str(tmp_path / "missing"))


def test_a_policy_that_its_engine_cannot_judge_is_refused_at_start(tmp_path: Path) -> None:
    write_policy(tmp_path, "two", engine="profanity", language="en")
    write_policy(tmp_path, "lost", engine="nothing")

    def profile(name: str) -> None:
        choose_profile(Settings(profile="demo", moderation=name, moderation_policies=str(tmp_path)))

    with pytest.raises(Misconfigured, match="the engine profanity knows one label, but the policy has 2"):
        profile("two")
    with pytest.raises(
        Misconfigured, match=r"moderation policy lost: no classifier is called 'nothing'; there are: .*profanity"
    ):
        profile("lost")
    assert [e.name for e in choose_profile(Settings(profile="demo", moderation="profanity")).classifiers] == [
        "profanity"
    ]
