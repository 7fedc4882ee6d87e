"""The embedder that the settings choose."""

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine, make_engine

NONE = "none"
"""Value of PODCAST_EMBEDDER for searches by words only."""


def choose_embedder(settings: Settings, *, allow_remote: bool = False) -> Engine | None:
    """Make the embedder of the settings; None if search by meaning is switched off. Loads nothing.

    Args:
        settings: the settings.
        allow_remote: whether a person has allowed a remote server for this call.

    Raises:
        Misconfigured: there is no such embedder, or it has no such setting.
    """
    if settings.embedder == NONE:
        return None
    given = dict(settings.engines.get(settings.embedder, {}))
    if settings.embedder == "openai":
        given = {
            "url": settings.embeddings_url,
            "model": settings.embeddings_model,
            "dimensions": settings.embeddings_dimensions,
            "allow_remote": settings.embeddings_allow_remote or allow_remote,
            "patience": settings.embeddings_patience,
        }
    try:
        return make_engine("embedder", settings.embedder, **given)
    except ValueError as error:
        lines = str(error).splitlines()
        reason = lines[0] if len(lines) == 1 else f"{lines[1]}: {lines[2].strip()}"
        raise Misconfigured(f"PODCAST_EMBEDDER: {reason}") from error
