"""The card's files."""

from podcast_assets.dataset.card.facts import DatasetFacts


def card(about: DatasetFacts) -> dict[str, bytes]:
    """Path in the dataset → content: README.md and the pictures that it shows. The same facts give the same bytes."""
    return {"README.md": f"---\npretty_name: {about.repo or 'speech'}\n---\n".encode()}
