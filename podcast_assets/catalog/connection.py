"""Connections to the catalog: a server by its URL, or the embedded one."""

import contextlib
import importlib.util
from collections.abc import Iterator
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from podcast_assets.catalog.embedded.server import DATABASE, USER, EmbeddedServer
from podcast_assets.common.errors import Misconfigured, first_line
from podcast_assets.config.settings import Settings

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_CONNECT_TIMEOUT = 10
"""Seconds; a URL may say otherwise."""


class CatalogTrouble(Misconfigured):
    """The catalog's database does not answer, or refuses something. The message is one line."""


@contextlib.contextmanager
def translate_errors(settings: Settings) -> Iterator[None]:
    """Turn errors of the database into one line, which shows neither statements nor what they hold.

    Raises:
        CatalogTrouble: the database does not answer, or refuses something.
    """
    try:
        yield
    except DBAPIError as error:
        reason = first_line(error.orig or error)
        if (
            isinstance(error, OperationalError)
            and error.connection_invalidated is False
            and "connect" in reason.lower()
        ):
            what = f"the catalog, {describe(settings)}, does not answer ({reason})"
            raise CatalogTrouble(f"{what}: check PODCAST_CATALOG_URL, and that the server runs") from error
        raise CatalogTrouble(
            f"the catalog, {describe(settings)}, refuses ({reason}): batches in the store are not affected; repeat the command "
            "once that is repaired"
        ) from error


def connect(settings: Settings) -> Engine:
    """Make an engine for the catalog. The embedded server is started unless it runs, and kept until this process ends.

    The tables may be of another version, or not exist: see `migrate.check_version`.

    Raises:
        Misconfigured: the URL is not one of PostgreSQL, the extra is not installed, or the embedded server does not start.
    """
    url = catalog_url(settings)
    if importlib.util.find_spec("psycopg") is None:
        raise Misconfigured("the catalog needs the extra catalog: pip install 'podcast-assets[catalog]'")
    if url is None:
        folder = embedded_server(settings).use()
        url = URL.create("postgresql+psycopg", username=USER, database=DATABASE, query={"host": folder})
    return create_engine(
        url,
        pool_pre_ping=True,  # the server may have been started again in between
        connect_args={"application_name": "podcast-assets", "connect_timeout": _CONNECT_TIMEOUT} | dict(url.query),
    )


def catalog_url(settings: Settings) -> URL | None:
    """Return the URL of the catalog for psycopg 3, with its password; None for the embedded server.

    Raises:
        Misconfigured: it is not a URL of PostgreSQL. The message does not show it.
    """
    if settings.catalog_url is None:
        return None
    try:
        url = make_url(settings.catalog_url.get_secret_value())
    except Exception as error:  # not chained: it shows the URL
        raise Misconfigured(f"PODCAST_CATALOG_URL is not a URL ({type(error).__name__})") from None
    if url.drivername not in _SCHEMES:
        raise Misconfigured("PODCAST_CATALOG_URL must begin with postgresql://")
    return url.set(drivername="postgresql+psycopg")


def describe(settings: Settings) -> str:
    """Describe the catalog's place for people, without its password."""
    url = catalog_url(settings)
    if url is None:
        return f"PostgreSQL in {embedded_server(settings).folder}"
    host = url.host or url.query.get("host") or "localhost"
    return f"{url.database or url.username} at {host}{f':{url.port}' if url.port else ''}"


def is_in_use(settings: Settings) -> bool:
    """Whether there is a catalog: one is set, or there are data of the embedded server."""
    return settings.catalog_enabled or embedded_server(settings).data.is_dir()


def embedded_server(settings: Settings) -> EmbeddedServer:
    """Return the embedded server of DAGSTER_HOME, because the store may be a bucket."""
    return EmbeddedServer(settings.dagster_home.absolute() / "catalog")


def libpq_url(settings: Settings) -> str:
    """URL of the catalog as psql and other programs take it, with its password. The embedded server must run."""
    url = catalog_url(settings)
    if url is not None:
        return url.set(drivername="postgresql").render_as_string(hide_password=False)
    return f"postgresql://{USER}@/{DATABASE}?host={quote(embedded_server(settings).use(), safe='')}"


def libpq_environment(settings: Settings) -> dict[str, str]:
    """The catalog as variables of libpq, which other users of the machine do not see. The embedded server must run."""
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.pq import Conninfo

    names = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    given = conninfo_to_dict(libpq_url(settings))
    if unknown := sorted(given.keys() - names.keys()):
        raise Misconfigured(
            f"psql takes no variable for {', '.join(unknown)} of PODCAST_CATALOG_URL: call psql with the URL"
        )
    return {names[name]: str(value) for name, value in given.items()}
