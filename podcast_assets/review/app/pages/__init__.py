"""Pages for people, by what they show."""

from fastapi import FastAPI

from podcast_assets.review.app.pages import audio, dashboard, decisions, items, login, search


def add_pages(app: FastAPI) -> None:
    """Add all pages to the application."""
    for module in (login, dashboard, items, decisions, audio, search):
        app.include_router(module.router, include_in_schema=False)
