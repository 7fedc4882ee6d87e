"""What the generated pages share: tables and links in Markdown."""

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. Pipes and angle brackets in cells are escaped, line breaks become spaces."""
    lines = [header, ["---"] * len(header), *([cell(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def cell(text: str) -> str:
    """Text as the content of a table cell. Angle brackets inside code stay as they are."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()).replace("|", "\\|"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;").replace(">", "&gt;") for part in parts)


def link_pages(text: str, *, base: str = "../") -> str:
    """Turn mentions of documentation pages, as docs/guides/release.md, into links relative to the page."""
    return re.sub(r"docs/([\w/-]+)\.md", lambda m: f"[{_title(m[1])}]({base}{m[1]}.md)", text)


def _title(page: str) -> str:
    return page.rsplit("/", 1)[-1].replace("-", " ").capitalize()
