"""Check that the built site loads nothing from other hosts: no fonts, scripts, styles or pictures.

python -m tools.docs.check_site build/site
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
"""Elements that make a browser load something, and where they name it."""
NOT_LOADED = {"canonical", "next", "prev", "alternate"}
"""Relations of `link` elements that are only told."""


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get(LOADING.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")) and given.get("rel") not in NOT_LOADED:
            self.found.append(address)


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """One line for each page and each address at another host that it loads."""
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text())
        yield from (f"{page.relative_to(site)} loads {address}" for address in dict.fromkeys(parser.found))


def main() -> None:
    """Check the site that the command line names."""
    site = Path(sys.argv[1])
    if not (site / "index.html").exists():
        sys.exit(f"{site}: there is no site; run `make docs`")
    if lines := list(loaded_from_elsewhere(site)):
        sys.exit("\n".join(lines))


if __name__ == "__main__":
    main()
