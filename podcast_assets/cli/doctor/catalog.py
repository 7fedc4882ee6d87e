"""Check of the catalog, where one is set: it is asked, and its tables must be of this version."""

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings

AREA = "catalog"


def examine(settings: Settings) -> list[Finding]:
    """Ask the catalog for its version; nothing where none is set.

    No run needs it: what is wrong with it blocks nothing. The embedded server is started for the time of the check.
    """
    if not settings.catalog_enabled:
        return []
    from podcast_assets.catalog.connection import CatalogTrouble, catalog_url, describe
    from podcast_assets.catalog.migrate import latest_version
    from podcast_assets.catalog.opening import open_catalog

    try:
        with open_catalog(settings) as engine, engine.connect() as connection:
            major = (connection.dialect.server_version_info or (0,))[0]
    except CatalogTrouble as error:
        return [
            Finding(
                AREA, "warning", str(error), "batches finish without it; `podcast-assets catalog load` loads them later"
            )
        ]
    except Misconfigured as error:
        what, _, todo = str(error).partition(": ")
        return [Finding(AREA, "warning", what, todo or None)]
    kind = "embedded, " if catalog_url(settings) is None else ""
    return [
        Finding(
            AREA, "ok", f"{describe(settings)} answers: {kind}PostgreSQL {major}, tables of version {latest_version()}"
        )
    ]
