"""The catalog on a server of its own: by a URL with a password, and by TLS."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from sqlalchemy import text

from podcast_assets.catalog.connection import CatalogTrouble, connect, embedded_server
from podcast_assets.catalog.loading.load import load_batches
from podcast_assets.catalog.migrate import migrate
from podcast_assets.catalog.opening import open_catalog
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.store.store import Store
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.servers.postgres import Postgres, postgres
from podcast_assets_tests.servers.tls_proxy import tls_proxy


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


def url(server: Postgres, port: int | None = None, **parameters: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"postgresql://dagster:{server.password}@127.0.0.1:{port or server.port}/dagster?{query}"


def test_a_server_is_migrated_when_asked_and_loaded(server: Postgres, tmp_path: Path) -> None:
    settings = Settings(dagster_home=tmp_path, catalog_url=url(server))
    store = Store.at(tmp_path / "store")
    commit_filled_batch(store, "first")
    with pytest.raises(Misconfigured, match="podcast-assets catalog migrate"), open_catalog(settings):
        pass
    with open_catalog(settings, check=False) as engine:
        assert migrate(engine).before is None
    with open_catalog(settings) as engine:
        load_batches(engine, store, words=True)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM podcast_catalog.transcripts")) == 8
    assert not embedded_server(settings).folder.exists()
    assert server.password not in f"{settings} {settings!r} {settings.model_dump_json()}"


def test_a_wrong_password_is_told_and_not_shown(server: Postgres, tmp_path: Path) -> None:
    wrong = url(server).replace(server.password, "hunter2secret")
    settings = Settings(dagster_home=tmp_path, catalog_url=wrong)
    with pytest.raises(CatalogTrouble, match="password authentication failed") as raised, open_catalog(settings):
        pass
    assert "hunter2" not in str(raised.value)


def test_tls_and_its_certificate_are_as_the_url_says(server: Postgres, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for name, made in (("ours", authority), ("other", other)):
        made.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))

    def tried(port: int, root: str) -> object:
        where = url(server, port, sslmode="verify-full", sslrootcert=str(tmp_path / f"{root}.pem"))
        settings = Settings(dagster_home=tmp_path, catalog_url=where)
        with open_catalog(settings, check=False) as engine, engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            return driver.pgconn.ssl_in_use

    with tls_proxy(server.port, context) as port:
        assert tried(port, "ours") is True
        with pytest.raises(CatalogTrouble, match="certificate verify failed"):
            tried(port, "other")
        with pytest.raises(CatalogTrouble):
            tried(server.port, "ours")  # a server without TLS
    assert connect(Settings(dagster_home=tmp_path, catalog_url=url(server))).url.drivername == "postgresql+psycopg"
