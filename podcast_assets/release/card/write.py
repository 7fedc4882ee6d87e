"""Rendering of the card's files."""

from collections.abc import Mapping

from huggingface_hub import DatasetCard

from podcast_assets.release.card import loading, sections
from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.card.header import render_header, title
from podcast_assets.release.card.pictures import draw_pictures

CARD = "README.md"


def render_card(facts: DatasetFacts) -> dict[str, bytes]:
    """Render README.md and its pictures: path in the dataset → content. Deterministic."""
    pictures = draw_pictures(facts)
    text = render_readme(facts, {path: what for path, (what, _) in pictures.items()})
    return {CARD: text.encode(), **{path: png for path, (_, png) in pictures.items()}}


def render_readme(facts: DatasetFacts, captions: Mapping[str, str]) -> str:
    """Render the text of README.md.

    Args:
        facts: facts of the release.
        captions: path of a picture in the dataset → caption.
    """
    images = "\n\n".join(f"![{what}]({path})" for path, what in captions.items())
    chapters = [
        (title(facts), sections.summary(facts)),
        ("Contents", f"{sections.contents(facts)}\n{sections.scores(facts)}\n{images}\n"),
        ("Content flags", sections.content_flags(facts)),
        ("Reviewed by people", sections.reviews(facts)),
        ("Loading", loading.loading_examples(facts)),
        ("Caveats", loading.loading_caveats(facts)),
        ("Metadata columns", sections.columns(facts)),
        ("How it was made", _render_provenance(facts)),
        ("What was not released", sections.not_released(facts)),
        ("Licences and attribution", sections.attribution(facts)),
    ]
    parts = [f"{'#' if n == 0 else '##'} {name}\n\n{text}" for n, (name, text) in enumerate(chapters) if text.strip()]
    body = "\n".join(parts)
    return str(DatasetCard(f"---\n{render_header(facts).to_yaml()}\n---\n\n{body}"))


def _render_provenance(facts: DatasetFacts) -> str:
    return (
        "With podcast-assets: recordings were diarized, transcribed and scored; segments were cut from the original audio. Texts, "
        "speakers and scores are machine-generated and contain errors; each row has the confidence of its engines. The policy "
        f"{sections.code(facts.policy)} decides which segments are good enough (`keep`).\n\n"
        f"{sections.made_with(facts.pipeline)}"
    )
