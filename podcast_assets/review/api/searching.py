"""Search as the interface offers it: one searcher, whose model is loaded once."""

import threading

from sqlalchemy import Engine

from podcast_assets.catalog.embeddings.choice import choose_embedder
from podcast_assets.catalog.search.filters import Filters
from podcast_assets.catalog.search.find import Mode, Searcher
from podcast_assets.catalog.search.results import SearchResults
from podcast_assets.config.settings import Settings


class SearchService:
    """Searches the catalog, in several threads."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._by_words = Searcher(engine)
        self._with_meaning: Searcher | None = None
        self._lock = threading.Lock()

    def search(self, query: str, mode: Mode, filters: Filters, limit: int) -> SearchResults:
        """Search; see `Searcher.search`. Searches by meaning take turns, because the model is loaded once.

        Raises:
            BadInput: the query has no word to look for.
            Misconfigured: `meaning`, and the catalog has no vectors of the embedder.
            EngineUnavailable: `meaning`, and the embedder cannot be loaded.
        """
        if mode == "words":
            return self._by_words.search(query, mode=mode, filters=filters, limit=limit)
        with self._lock:
            if self._with_meaning is None:
                self._with_meaning = Searcher(self._engine, choose_embedder(self._settings))
            return self._with_meaning.search(query, mode=mode, filters=filters, limit=limit)
