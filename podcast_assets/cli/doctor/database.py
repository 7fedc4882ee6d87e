"""Check of Dagster's database: it is asked, because a configuration says nothing of whether anybody answers."""

from podcast_assets.cli.doctor import capacity, clock
from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.cli.doctor.places import AREA
from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_text
from podcast_assets.common.wording import count_noun
from podcast_assets.config.settings import Settings
from podcast_assets.stages.requirements import GPU_POOL


def examine(settings: Settings, gpus: int = 0) -> list[Finding]:
    """Ask the database of the instance in DAGSTER_HOME for its runs, its pool and its time; nothing where none is set up yet.

    Args:
        settings: name DAGSTER_HOME.
        gpus: GPUs that runs of this machine use.
    """
    home = settings.dagster_home.absolute()
    configuration = home / "dagster.yaml"
    if not configuration.is_file():
        return []
    if "storage:" not in configuration.read_text() and not (home / "history" / "runs.db").exists():
        return []  # the default SQLite database, which the first run creates
    import dagster as dg

    from podcast_assets.defs.dagster_internals import database_time, pool_slots
    from podcast_assets.defs.queue_pause import paused_since

    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            runs, since = instance.get_runs_count(), paused_since(instance)
            # on Ray, a slot is a stage, which takes as many GPUs of the cluster as it is given
            pool = capacity.judge_pool(pool_slots(instance, GPU_POOL), gpus) if settings.compute == "local" else []
            times = clock.examine("Dagster's database", lambda: database_time(instance))
    except Exception as error:  # of the configuration, the driver or SQLAlchemy, which have no common base
        what = f"Dagster's database does not answer: {redact_text(first_line(_deepest(error)))}"
        todo = (
            f"start the server that {configuration} names, and check host, port, user and password; a damaged SQLite database: "
            f"move {home} away, results in the store are not affected"
        )
        return [Finding(AREA, "missing", what, todo, blocks=True)]
    found = [Finding(AREA, "ok", f"Dagster's database answers: {count_noun(runs, 'run')}")]
    if since:
        found.append(Finding(AREA, "warning", f"the queue is paused since {since}", "podcast-assets resume"))
    return [*found, *pool, *times]


def _deepest(error: BaseException) -> BaseException:
    """The error that caused the others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
