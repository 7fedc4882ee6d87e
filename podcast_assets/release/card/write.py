"""Rendering of the card's files."""

from collections.abc import Mapping

from huggingface_hub import DatasetCard

from podcast_assets.release.card import loading, sections
from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.header import render_header, title
from podcast_assets.release.card.pictures import draw_pictures

CARD = "README.md"


def render_card(about: DatasetFacts) -> dict[str, bytes]:
    """Render the card: path in the dataset → content, for README.md and its pictures. The same facts give the same bytes."""
    shown = draw_pictures(about)
    text = render_readme(about, {path: what for path, (what, _) in shown.items()})
    return {CARD: text.encode(), **{path: png for path, (_, png) in shown.items()}}


def render_readme(about: DatasetFacts, shown: Mapping[str, str]) -> str:
    """Render the text of README.md.

    Args:
        about: the release.
        shown: path of a picture in the dataset → what it shows.
    """
    images = "\n\n".join(f"![{what}]({path})" for path, what in shown.items())
    chapters = [
        (title(about), sections.summary(about)),
        ("What is in it", f"{sections.contents(about)}\n{sections.scores(about)}\n{images}\n"),
        ("How to load it", loading.loading_examples(about)),
        ("What to know before", loading.loading_caveats(about)),
        ("Columns of the metadata", sections.columns()),
        ("How it was made", _render_provenance(about)),
        ("What is not in it", sections.not_released(about)),
        ("Licences and attribution", sections.attribution(about)),
    ]
    parts = [f"{'#' if n == 0 else '##'} {name}\n\n{text}" for n, (name, text) in enumerate(chapters) if text.strip()]
    body = "\n".join(parts)
    return str(DatasetCard(f"---\n{render_header(about).to_yaml()}\n---\n\n{body}"))


def _render_provenance(about: DatasetFacts) -> str:
    return (
        "By podcast-assets: recordings were diarized, transcribed, scored, cut from the original at its own quality, and sealed. "
        "Texts, speakers and scores are the work of machines and have their mistakes; each row says what the engines themselves "
        f"thought of it. The policy {sections.code(about.policy)} says what is good enough.\n\n"
        f"{sections.made_with(about.pipeline)}"
    )
