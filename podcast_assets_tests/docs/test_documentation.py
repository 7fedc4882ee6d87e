"""The documentation is current: generated pages, links, and the files, tests and modules that it names."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcast_assets.config.setting_descriptions import SECTIONS, describe_settings
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine
from podcast_assets.store import schema, schema_beside
from podcast_assets_tests.conftest import CHECKOUT
from tools.docs import cli_page, columns_page, generate
from tools.docs.check_site import loaded_from_elsewhere
from tools.docs.markdown import cell, link_pages

DOCS = CHECKOUT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BESIDE = [CHECKOUT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md", "tools/README.md")]
"""Pages outside of the site, whose links mkdocs does not check."""
SUFFIXES = {".py", ".cfg", ".toml", ".yaml", ".yml", ".service", ".example", ".sh", ".md"}


def names(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


def test_generated_pages_are_current() -> None:
    assert generate.stale() == [], "run `python -m tools.docs.generate`"


def test_a_stale_page_ends_the_check_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {"one.md": lambda: "# One\n", "two.md": lambda: "# Two\n"})
    monkeypatch.setattr(sys, "argv", ["generate"])
    generate.main()
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    generate.main()
    (tmp_path / "two.md").write_text("something older")
    with pytest.raises(SystemExit, match=r"out of date \(two\.md\): run"):
        generate.main()
    assert (tmp_path / "two.md").read_text() == "something older"


@pytest.mark.parametrize("page", BESIDE, ids=names)
def test_links_outside_of_the_site_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def text_files() -> Iterator[Path]:
    yield from (p for p in CHECKOUT.iterdir() if p.is_file() and p.suffix in SUFFIXES)
    for folder in ("podcast_assets", "podcast_assets_tests", "deploy", "tools", "benchmarks", "docs"):
        yield from (p for p in (CHECKOUT / folder).rglob("*") if p.suffix in SUFFIXES)


def test_every_page_that_the_code_mentions_exists() -> None:
    mentions = {
        (names(file), mention)
        for file in text_files()
        for mention in re.findall(r"(?<![\w/.-])docs/(?:[a-z][a-z-]*/)*[a-z][a-z-]*\.md", file.read_text())
    }
    assert len(mentions) > 20
    assert [m for m in mentions if not (CHECKOUT / m[1]).exists()] == []


@pytest.mark.parametrize("page", [p for p in [*PAGES, *BESIDE] if p.name != "CHANGELOG.md"], ids=names)
def test_files_and_modules_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    paths = re.findall(r"`((?:podcast_assets(?:_tests)?|tools|benchmarks|deploy)/[\w./-]+)`", text)
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []
    scripts = re.findall(r"python -m ((?:benchmarks|tools)[\w.]*\w)", text)
    assert [s for s in scripts if not (CHECKOUT / f"{s.replace('.', '/')}.py").exists()] == []
    modules = re.findall(r"(?<![\w./])podcast_assets(?:\.\w+)+", text)
    assert [m for m in modules if not _resolves(m)] == []


def _resolves(dotted: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def test_tests_that_are_named_exist() -> None:
    rows = re.findall(r"`(podcast_assets_tests/\S+\.py)`: `(test_\w+)`", (DOCS / "where-things-live.md").read_text())
    assert len(rows) >= 5
    assert [(f, t) for f, t in rows if f"def {t}(" not in (CHECKOUT / f).read_text()] == []


def test_functions_that_are_named_exist() -> None:
    page = (DOCS / "where-things-live.md").read_text()
    rows = re.findall(r"`(podcast_assets/[\w/]+\.py)`,\s+`(\w+)`", page) + re.findall(
        r"`(\w+)` in\s+`(podcast_assets/\S+\.py)`", page
    )
    assert len(rows) >= 8
    pairs = [(b, a) if a.isidentifier() else (a, b) for a, b in rows]
    assert [(f, n) for f, n in pairs if f"def {n}(" not in (CHECKOUT / f).read_text()] == []


def test_every_setting_is_described_in_a_section() -> None:
    described = describe_settings()
    assert [d.field for d in described] == list(Settings.model_fields)
    assert all(d.section and d.description.endswith((".", ")")) for d in described)
    assert list(dict.fromkeys(d.section for d in described)) == list(dict.fromkeys(SECTIONS.values()))
    known = {d.field: d for d in described}
    assert (known["min_speakers"].values, known["min_speakers"].default) == ("integer, at least 1", None)
    assert (known["shard_codec"].values, known["shard_codec"].default) == ("flac, opus, mp3 or wav", "flac")
    assert (known["hub_private"].values, known["hub_private"].default) == ("true or false", "true")
    assert known["webhook_secret"].values == "secret"


def test_every_table_is_on_the_page_of_columns() -> None:
    assert columns_page.BATCH_TABLES.keys() == schema.TABLES.keys()
    defined = [v for v in vars(schema_beside).values() if isinstance(v, dict) and v and _is_columns(v)]
    shown = [columns for columns, _ in columns_page.OTHER_TABLES.values()]
    assert [c for c in defined if not any(c is s for s in shown)] == []


def _is_columns(found: dict[str, object]) -> bool:
    return all(isinstance(v, tuple) and len(v) == 2 for v in found.values())


def test_every_command_is_on_the_page_of_commands() -> None:
    page = cli_page.render()
    for command in ("run", "models fetch", "dataset verify", "takedown"):
        assert f"## `podcast-assets {command}`" in page
    assert "`--store TEXT`" in page


def test_cells_keep_their_table() -> None:
    assert cell("a|b <c> `<d>`\n e") == "a&#124;b &lt;c&gt; `<d>` e"
    assert cell("*=x, *=y") == "&#42;=x, &#42;=y"
    assert cell("`--to [x|y]`") == "<code>--to [x&#124;y]</code>"
    assert link_pages("see docs/guides/text-quality.md.") == "see [Text quality](../guides/text-quality.md)."


def test_a_site_that_loads_from_other_hosts_is_told(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<link rel="canonical" href="https://example.org/"><link rel="stylesheet" href="own.css">'
        '<a href="https://example.org/">elsewhere</a><script src="https://cdn.example/x.js"></script>'
        '<link rel="stylesheet" href="//fonts.example/f.css"><img src="own.png">'
    )
    assert list(loaded_from_elsewhere(tmp_path)) == [
        "index.html loads https://cdn.example/x.js",
        "index.html loads //fonts.example/f.css",
    ]


def test_the_engine_on_the_page_about_engines_works() -> None:
    text = (DOCS / "guides" / "add-an-engine.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    made: dict[str, Any] = {"__name__": "peak"}
    exec(compile(code, "add-an-engine.md", "exec"), made)
    engine: Any
    (engine,) = (v for v in made.values() if isinstance(v, type) and issubclass(v, Engine) and v is not Engine)
    assert engine(threads=2).identity() == engine().identity() != engine(window=2.0).identity()
    tone = np.full(32_000, 0.1, np.float32)
    loud, short = engine().load().score(tone, [(0.0, 2.0), (0.0, 0.5)])
    assert loud["peak_second_db"] == pytest.approx(-20, abs=0.01)
    assert short["peak_second_db"] is None
