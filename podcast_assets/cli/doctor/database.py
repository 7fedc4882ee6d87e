"""Check of Dagster's database: it is asked, because a configuration says nothing of whether anybody answers."""

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.cli.doctor.places import AREA
from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_text
from podcast_assets.common.wording import count_noun
from podcast_assets.config.settings import Settings


def examine(settings: Settings) -> list[Finding]:
    """Ask the database of the instance in DAGSTER_HOME for the number of its runs; nothing where none is set up yet."""
    home = settings.dagster_home.absolute()
    configuration = home / "dagster.yaml"
    if not configuration.is_file():
        return []
    if "storage:" not in configuration.read_text() and not (home / "history" / "runs.db").exists():
        return []  # the default SQLite database, which the first run creates
    import dagster as dg

    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            runs = instance.get_runs_count()
    except Exception as error:  # of the configuration, the driver or SQLAlchemy, which have no common base
        what = f"Dagster's database does not answer: {redact_text(first_line(_deepest(error)))}"
        todo = (
            f"start the server that {configuration} names, and check host, port, user and password; a damaged SQLite database: "
            f"move {home} away, results in the store are not affected"
        )
        return [Finding(AREA, "missing", what, todo, blocks=True)]
    return [Finding(AREA, "ok", f"Dagster's database answers: {count_noun(runs, 'run')}")]


def _deepest(error: BaseException) -> BaseException:
    """The error that caused the others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
