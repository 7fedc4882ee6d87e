"""`podcast-assets review`: the review page and the HTTP interface."""

import importlib.util
import threading
from typing import TYPE_CHECKING

import click

from podcast_assets.cli.review_data import export, import_, publish, report, sample
from podcast_assets.cli.review_users import user
from podcast_assets.cli.terminal import STORE, load_settings, open_store, print_line
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from podcast_assets.config.settings import Settings
    from podcast_assets.store.store import Store

PORT = 3001
_LOAD = 30.0
"""Seconds between loads of new batches, where no asset loads them."""


def is_installed() -> bool:
    """Whether the extra `review` is installed."""
    return all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn", "argon2", "sqlalchemy", "psycopg"))


@click.group(invoke_without_command=True)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to listen at. Others than loopback need users."
)
@click.option("--port", default=PORT, show_default=True, help="Port to listen at.")
@click.option(
    "--login-link",
    is_flag=True,
    help="Print a link that logs an admin in once, within 10 minutes. Makes the admin if there is none.",
)
@click.option(
    "--beside-dagster", type=int, hidden=True, help="As a part of `podcast-assets dev`, whose process id this is."
)
@STORE
@click.pass_context
def review(
    context: click.Context, host: str, port: int, login_link: bool, beside_dagster: int | None, store: str | None
) -> None:
    """Serve the review page, where people listen, judge and correct, and the HTTP interface; manage its users and tokens.

    Without a command, serves at http://127.0.0.1:3001 until Ctrl+C. Whoever is to log in needs an account:
    `podcast-assets review user add NAME`.
    """
    if context.invoked_subcommand is not None:
        return
    if not is_installed():
        raise Misconfigured("the review page needs the extra review: pip install 'podcast-assets[review]'")
    _serve(load_settings(store=store), host, port, login_link=login_link, beside_dagster=beside_dagster)


review.add_command(sample)
review.add_command(report)
review.add_command(export)
review.add_command(import_)
review.add_command(publish)
review.add_command(user)


def _serve(settings: "Settings", host: str, port: int, *, login_link: bool, beside_dagster: int | None) -> None:
    from podcast_assets.catalog.connection import catalog_url, connect
    from podcast_assets.catalog.migrate import migrate
    from podcast_assets.cli.pipeline import StorePipeline
    from podcast_assets.review.accounts import issue_login_link, list_users
    from podcast_assets.review.app.application import create_app
    from podcast_assets.review.serving import LOOPBACK, first_admin, serve

    engine = connect(settings)
    if catalog_url(settings) is None:
        migrate(engine)  # the embedded database is this command's own; of a server, its owner decides
    opened_store = open_store(settings)
    app = create_app(settings, engine, opened_store, StorePipeline(settings, opened_store))
    if host not in LOOPBACK and not any(not user.disabled for user in list_users(engine)):
        raise Misconfigured(
            f"--host {host} opens the page to other machines, and nobody could log in: add users first, by "
            "`podcast-assets review user add NAME --role admin`"
        )
    if beside_dagster is not None and not settings.catalog_enabled:
        threading.Thread(target=_keep_loading, args=(settings, engine, opened_store), name="load", daemon=True).start()

    def announce() -> None:
        shown = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared
        print_line(f"the review page is ready: {shown}")
        if login_link:
            secret = issue_login_link(engine, first_admin(engine))
            # not by print_line, which redacts queries
            click.echo(f"  {shown}/login/link?secret={secret}  logs in once, within 10 minutes", err=True)

    serve(app, host, port, announce, parent=beside_dagster)


def _keep_loading(settings: "Settings", engine: "Engine", store: "Store") -> None:
    """Load new batches now and then, for as long as the process lives."""
    from podcast_assets.catalog.loading.load import load_batches
    from podcast_assets.common.redaction import redact_text

    said: set[str] = set()
    while True:
        try:
            load_batches(engine, store, words=settings.catalog_words)
        except Exception as error:  # the page goes on with what is loaded
            text = redact_text(f"{type(error).__name__}: {error}")
            if text not in said:
                print_line((f"new batches are not loaded into the catalog: {text}", "yellow"))
            said.add(text)
        threading.Event().wait(_LOAD)
