"""`podcast-assets catalog …`: the PostgreSQL database for people, which is filled from the store."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.text import Text

from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
)
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.wording import count_noun, format_bytes

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from podcast_assets.catalog.embedded.server import EmbeddedServer
    from podcast_assets.catalog.loading.load import LoadedBatch, LoadResult
    from podcast_assets.config.settings import Settings


_NOUNS = {"audit": "audit event", "samples": "sampled item"}
"""Table that a backup has → what its rows are, where its name does not say that."""
_REPORTED = 50_000
"""Phrases after which `embed` says how far it is."""


@click.group()
def catalog() -> None:
    """Search, review and count in PostgreSQL: create the tables, load batches, back up decisions (docs/guides/catalog.md)."""


@catalog.command()
def migrate() -> None:
    """Create the catalog's tables, or bring those of an earlier version up to date. Run it after each update."""
    from podcast_assets.catalog.migrate import migrate as migrate_schema

    with _connected(load_settings(), check=False) as engine:
        done = migrate_schema(engine)
    if done.before == done.after:
        print_line(f"the tables are of version {done.after} already")
    else:
        print_line(f"the tables are of version {done.after} now{f', and were of {done.before}' if done.before else ''}")
    for missing in filter(None, (done.roles_missing, done.vectors_missing)):
        print_line((missing, "yellow"))


@catalog.command()
@click.argument("batches", nargs=-1)
@json_option("one JSON object")
@STORE
def load(batches: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Load BATCHES, or all that are new or changed, and remove what is gone. Run it again to resume."""
    settings = load_settings(store=store)
    with _connected(settings) as engine:
        result = _load(engine, settings, batches or None)
    _print_result(result, as_json=as_json)


@catalog.command()
@json_option("one JSON object")
@STORE
def rebuild(as_json: bool, store: str | None) -> None:
    """Create the tables if need be, and load all batches again. Decisions stay. `load` continues an interrupted rebuild.

    People who search meanwhile see each batch as it was until it is replaced.
    """
    from podcast_assets.catalog.loading.load import forget_versions
    from podcast_assets.catalog.migrate import migrate as migrate_schema

    settings = load_settings(store=store)
    with _connected(settings, check=False) as engine:
        migrate_schema(engine)
        forget_versions(engine)
        result = _load(engine, settings, None)
    _print_result(result, as_json=as_json)


@catalog.command()
@json_option("one JSON object")
@STORE
def status(as_json: bool, store: str | None) -> None:
    """Show what the catalog holds, and which batches of the store are not loaded."""
    from podcast_assets.catalog.connection import describe
    from podcast_assets.catalog.status import read_status

    settings = load_settings(store=store)
    with _connected(settings) as engine:
        found = read_status(engine, open_store(settings), words=settings.catalog_words)
    if as_json:
        print_json({"place": describe(settings), **asdict(found)})
        return
    print_line(f"{describe(settings)}: tables of version {found.version}, {format_bytes(found.bytes, 'B')}")
    table = make_table("table", "rows", numbers=("rows",))
    for name, rows in found.rows.items():
        table.add_row(Text(name), f"{rows:,}")
    output.print(table)
    if found.not_loaded or found.gone:
        parts = [
            f"{count_noun(len(names), 'batch')} {what} ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})"
            for names, what in ((found.not_loaded, "not loaded"), (found.gone, "gone from the store"))
            if names
        ]
        print_line((f"{'; '.join(parts)}: podcast-assets catalog load", "yellow"))
    else:
        print_line(
            f"all batches of the store are loaded{f', the last at {found.loaded_at}' if found.loaded_at else ''}"
        )


@catalog.command()
@click.argument("batches", nargs=-1)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Send texts to the server of the embedder openai (PODCAST_EMBEDDINGS_ALLOW_REMOTE).",
)
@json_option("one JSON object")
def embed(batches: tuple[str, ...], allow_remote: bool, as_json: bool) -> None:
    """Make the vectors that searches by meaning compare, of all phrases or those of BATCHES. Run it again to resume."""
    from podcast_assets.catalog.embeddings.step import embed_missing
    from podcast_assets.cli.search import choose_allowed_embedder

    settings = load_settings()
    engine = choose_allowed_embedder(settings, allow_remote=allow_remote)
    if engine is None:
        raise Misconfigured("PODCAST_EMBEDDER is none: set it to wordllama, minilm or openai")
    done = 0

    def report(added: int, missing: int) -> None:
        nonlocal done
        if added == missing or added - done >= _REPORTED:
            done = added
            print_line(f"{added:,} of {missing:,} phrases")

    with _connected(settings) as database:
        found = [embed_missing(database, engine, batch=batch, progress=report) for batch in batches or (None,)]
    added, removed = sum(one.added for one in found), sum(one.removed for one in found)
    if as_json:
        print_json({"model": found[0].model, "added": added, "removed": removed})
        return
    earlier = f", {count_noun(removed, 'vector')} of other models removed" if removed else ""
    print_line(f"{count_noun(added, 'vector')} of {found[0].model} added{earlier}")


@catalog.command()
@STORE
def backup(store: str | None) -> None:
    """Write what reviewers decided to one file of JSON lines in the store, in place of the one before.

    Everything else in the catalog comes from the store and needs no backup.
    """
    from podcast_assets.catalog import kept

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    with _connected(settings) as engine:
        counts = kept.backup(engine, opened_store)
    print_line(f"{_count_rows(counts)} in {opened_store.path(kept.KEY)}")


@catalog.command()
@STORE
def restore(store: str | None) -> None:
    """Add what the backup has and the catalog lacks. What is there stays as it is."""
    from podcast_assets.catalog import kept

    settings = load_settings(store=store)
    with _connected(settings) as engine:
        added = kept.restore(engine, open_store(settings))
    print_line(f"{_count_rows(added)} added")


def _count_rows(counts: Mapping[str, int]) -> str:
    found = [count_noun(number, _NOUNS.get(name, name.removesuffix("s"))) for name, number in counts.items() if number]
    return ", ".join(found) or "nothing"


@catalog.command()
def url() -> None:
    """Print the URL for psql and other programs, with its password. The embedded server stays up: see `start`."""
    from podcast_assets.catalog.connection import catalog_url, embedded_server, libpq_url

    settings = load_settings()
    found = libpq_url(settings)
    if catalog_url(settings) is None:
        embedded_server(settings).keep(True)
        embedded_server(settings).leave()
    click.echo(found)


@catalog.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def psql(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Open psql on the catalog. ARGUMENTS are psql's own, such as -c "SELECT * FROM ra_queue"."""
    from podcast_assets.catalog.connection import embedded_server, libpq_environment
    from podcast_assets.catalog.embedded.binaries import find_program
    from podcast_assets.catalog.tables import SCHEMA

    settings = load_settings()
    options = f"{os.environ.get('PGOPTIONS', '')} -c search_path={SCHEMA},public".strip()
    # the URL is in the environment, because every user of the machine sees the arguments of processes
    environment = {**os.environ, **libpq_environment(settings), "PGOPTIONS": options}
    environment.pop("PODCAST_CATALOG_URL", None)
    try:
        result = subprocess.run([str(find_program("psql")), *arguments], env=environment, check=False)  # noqa: S603
    finally:
        embedded_server(settings).leave()
    context.exit(result.returncode)


@catalog.command()
def start() -> None:
    """Start the catalog's own PostgreSQL and let it run, so that commands need not wait for it. `stop` ends it."""
    server = _embedded()
    server.use()
    server.keep(True)
    server.leave()
    print_line(f"PostgreSQL runs in {server.folder}")


@catalog.command()
def stop() -> None:
    """Stop the catalog's own PostgreSQL, also while commands use it. The next command starts it again."""
    server = _embedded()
    if server.folder.is_dir():
        server.keep(False)
    print_line("PostgreSQL is stopped" if server.stop() else "PostgreSQL does not run")


def _embedded() -> "EmbeddedServer":
    from podcast_assets.catalog.connection import catalog_url, embedded_server

    settings = load_settings()
    if catalog_url(settings) is not None:
        raise Misconfigured("PODCAST_CATALOG_URL names a server of yours, which is not started or stopped from here")
    return embedded_server(settings)


@contextlib.contextmanager
def _connected(settings: "Settings", *, check: bool = True) -> Iterator["Engine"]:
    from podcast_assets.catalog.opening import open_catalog

    with open_catalog(settings, check=check) as engine:
        yield engine


def _load(engine: "Engine", settings: "Settings", batches: tuple[str, ...] | None) -> "LoadResult":
    from podcast_assets.catalog.embeddings.step import embed_loaded
    from podcast_assets.catalog.loading.load import load_batches

    rows = 0

    def report(done: int, total: int, loaded: "LoadedBatch | None", error: str | None) -> None:
        nonlocal rows
        if loaded is None:
            print_line((f"{done:,} of {total:,} batches: {error}", "red"))
            return
        rows += sum(loaded.rows.values())
        print_line(f"{done:,} of {total:,} batches, {rows:,} rows: {loaded.batch}, {loaded.changed:,} changed")
        if loaded.passed_over:
            left = ", ".join(f"{number:,} rows of {name}" for name, number in loaded.passed_over.items())
            print_line(
                (f"{loaded.batch}: {left} left out, whose episode or segment is gone: a run is busy with it", "yellow")
            )

    result = load_batches(engine, open_store(settings), words=settings.catalog_words, batches=batches, report=report)
    added, without = embed_loaded(engine, settings)
    if added:
        print_line(f"{count_noun(added, 'vector')} added for searches by meaning")
    if without:
        print_line((without, "yellow"))
    return result


def _print_result(result: "LoadResult", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "loaded": [one.batch for one in result.loaded],
                "removed": result.removed,
                "unchanged": result.unchanged,
                "failed": result.failed,
                "rows": sum(sum(one.rows.values()) for one in result.loaded),
                "changed": sum(one.changed for one in result.loaded),
            }
        )
    else:
        gone = f", {len(result.removed):,} removed" if result.removed else ""
        print_line(f"{count_noun(len(result.loaded), 'batch')} loaded{gone}, {result.unchanged:,} unchanged")
    if result.failed:
        names = "; ".join(f"{batch}: {why}" for batch, why in result.failed.items())
        raise Misconfigured(
            f"{count_noun(len(result.failed), 'batch')} could not be loaded, and the catalog has them as before. {names}"
        )
