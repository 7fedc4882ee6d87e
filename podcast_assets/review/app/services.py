"""What the application's routes work with."""

from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy import Engine

from podcast_assets.config.settings import Settings
from podcast_assets.review.api.pipeline import Pipeline
from podcast_assets.review.queues import Criteria
from podcast_assets.store.store import Store


@dataclass(frozen=True)
class Services:
    """The catalog, the store and the settings of an application."""

    settings: Settings = field(repr=False)
    engine: Engine
    store: Store
    pipeline: Pipeline | None = None
    """What retries failures; None: the page cannot."""

    @property
    def criteria(self) -> Criteria:
        """What belongs in the queues, by the settings."""
        return Criteria(second_look=self.settings.review_second_look, random=self.settings.review_random)


def services(request: Request) -> Services:
    """Return the services of the application that a request came to: a dependency of routes."""
    return request.app.state.services
