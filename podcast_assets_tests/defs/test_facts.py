"""Previews in the Dagster UI show names and texts of strangers as they are: nothing in them is markup."""

import polars as pl
import pytest
from markdown_it import MarkdownIt

from podcast_assets.defs.assets.facts import preview

HOSTILE = (
    "![x](http://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "![x][r]",
    "<img src=http://evil.example/pixel.png>",
    "<script>alert(1)</script>",
    "&lt;img src=x&gt;",
    "<http://evil.example>",
    "a | b | ![x](http://evil.example)",
    "a\\| ![x](http://evil.example)",
    "**bold** _it_ `code` ~~gone~~",
    "a\n\n![x](http://evil.example)\n\n# heading\n\n[r]: http://evil.example",
    "x" * 88 + "|![x](http://evil.example)",
    "x" * 80 + "![x](http://evil.example)",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_shows_its_text_and_nothing_else(text: str) -> None:
    shown = preview(pl.DataFrame({"source": [text], "other": ["b"]}), ["source", "other"]).md_str
    assert shown is not None
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(shown)
    kinds = [child.type for token in tokens for child in token.children or ()]
    assert set(kinds) <= {"text", "text_special"}
    assert [t.type for t in tokens].count("td_open") == 2
    cell = "".join(
        c.content for c in next(t for t in tokens[::-1] if t.type == "inline" and t.content != "b").children or ()
    )
    assert cell == (one := " ".join(text.split()))[: len(cell) - 1] + (one[len(cell) - 1 :] if len(one) <= 90 else "…")


def test_control_characters_are_shown_as_escapes() -> None:
    shown = preview(pl.DataFrame({"source": ["a\x1b[2J\u202eb"]}), ["source"]).md_str or ""
    assert shown.isprintable() or shown.replace("\n", "").isprintable()
    assert "x1b" in shown
