"""The question before finished work is processed again because of an upgrade or other engines."""

import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import click

from podcast_assets.cli.terminal import print_line
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    import dagster as dg

    from podcast_assets.config.settings import Settings
    from podcast_assets.store.store import Store

YES: Callable[[Any], Any] = click.option(
    "--yes", is_flag=True, help="Do not ask before finished audio is processed again (more than PODCAST_REDO_HOURS)."
)


def confirm_redo(
    instance: "dg.DagsterInstance",
    settings: "Settings",
    store: "Store",
    batches: Sequence[str],
    *,
    yes: bool,
    here: bool,
    without: Collection[tuple[str, str]] = (),
) -> None:
    """Say what would be processed again, and why, and ask if it is more than PODCAST_REDO_HOURS.

    Args:
        instance: instance that launches the runs.
        settings: of the runs.
        store: store of the batches.
        batches: batches to run.
        yes: do not ask.
        here: whether they run in this process.
        without: batch and id of episodes that are to be processed again.

    Raises:
        Misconfigured: it is more, and nobody can be asked.
        click.Abort: the answer is no.
    """
    from podcast_assets.defs.redo_guard import find_redo_of_runs

    redo = find_redo_of_runs(instance, settings, store, batches, here=here, without=without)
    if not redo.seconds:
        return
    print_line((redo.describe(), "yellow"))
    if yes or redo.hours <= settings.redo_hours:
        return
    if not sys.stdin.isatty():
        raise Misconfigured(
            "nothing was started: pass --yes to agree, or set PODCAST_REDO_HOURS to more; to keep the results, set the earlier "
            "engines (PODCAST_PROFILE, PODCAST_DIARIZER, …)"
        )
    click.confirm("Process them again?", abort=True, err=True)
