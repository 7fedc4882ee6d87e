"""`podcast-assets pause` and `resume`: hold the queue, and let it go on."""

import datetime
from typing import TYPE_CHECKING

import click

from podcast_assets.cli.terminal import load_settings, print_line
from podcast_assets.common.wording import count_noun

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings


def print_pause(settings: "Settings") -> None:
    """Say so if the queue of the instance on this machine is paused."""
    from podcast_assets.defs.unfinished_runs import read_pause

    configuration = settings.dagster_home / "dagster.yaml"
    if not configuration.exists():
        return
    since = read_pause(settings.dagster_home)
    if since is None and "storage:" in configuration.read_text():
        since = _ask_instance(settings)
    if since:
        print_line((f"the queue is paused since {since}: `podcast-assets resume` ends it", "yellow"))


def _ask_instance(settings: "Settings") -> str | None:
    """Since when the queue is paused, where Dagster's database is on a server; None if that does not answer, which others say."""
    import dagster as dg

    from podcast_assets.cli.database_errors import describe_database_error
    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.queue_pause import paused_since

    prepare_home(settings)
    try:
        with dg.DagsterInstance.get() as instance:
            return paused_since(instance)
    except Exception as error:
        if describe_database_error(error) is None:
            raise
        return None


@click.command()
def pause() -> None:
    """Pause the queue: sensors and schedules request no runs, and queued ones do not start, until `resume`.

    Running ones go on, and so do commands that run in their own process (`run`, `--here`). Feeds are polled; what arrives
    waits.
    """
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.partitions import UNFINISHED
    from podcast_assets.defs.queue_pause import pause as pause_queue
    from podcast_assets.defs.queue_pause import paused_since

    home = prepare_home(load_settings())
    with dg.DagsterInstance.get() as instance:
        held = pause_queue(instance, f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC")
        waiting = [dg.DagsterRunStatus.QUEUED]
        queued = instance.get_runs_count(dg.RunsFilter(statuses=waiting))
        active = instance.get_runs_count(dg.RunsFilter(statuses=[s for s in UNFINISHED if s not in waiting]))
        print_line(
            f"the queue is paused since {paused_since(instance)}: {count_noun(queued, 'run')} queued, {active:,} active, "
            "which go on; `podcast-assets resume` ends it"
        )
    if not held:
        print_line(
            (
                f"queued runs start all the same, because {home / 'dagster.yaml'} names another run coordinator or sets "
                "concurrency: runs: take over run_coordinator: from the dagster.yaml of this version, and restart the daemon",
                "yellow",
            )
        )


@click.command()
def resume() -> None:
    """Resume the paused queue: queued runs start, and sensors and schedules request runs again."""
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.queue_pause import paused_since
    from podcast_assets.defs.queue_pause import resume as resume_queue

    prepare_home(load_settings())
    with dg.DagsterInstance.get() as instance:
        since = paused_since(instance)
        resume_queue(instance)
    print_line(f"the queue goes on; it was paused since {since}" if since else "the queue was not paused")
