"""What the generated pages share: tables and links in Markdown."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. Pipes and angle brackets in cells are escaped, line breaks become spaces."""
    lines = [header, ["---"] * len(header), *([cell(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Text as the content of a table cell: on one line, with pipes and angle brackets escaped."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(_code(part) if part.startswith("`") else _escaped(part) for part in parts)


def _code(part: str) -> str:
    # Markdown has no way to write a pipe in code in a table that GitHub and mkdocs both understand
    return f"<code>{_escaped(part[1:-1])}</code>" if "|" in part else part


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;").replace("*", "&#42;")


def link_pages(text: str, *, base: str = "../") -> str:
    """Turn mentions of documentation pages, as docs/guides/release.md, into links with the page's title, relative to a page."""
    return re.sub(r"docs/([\w/-]+\.md)", lambda m: f"[{_title(m[1])}]({base}{m[1]})", text)


def _title(page: str) -> str:
    first = (DOCS / page).read_text().splitlines()[0]
    return first.removeprefix("# ")
