"""`podcast-assets init`, `add`, `dev`: the Dagster instance, its partitions and its UI."""

import os
import signal

import click

from podcast_assets.cli.terminal import STORE, load_settings, open_store, print_line, print_refused
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.common.wording import count_noun


@click.command()
@click.argument("batches", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All batches under incoming/.")
@STORE
def add(batches: tuple[str, ...], everything: bool, store: str | None) -> None:
    """Register BATCHES under incoming/ as Dagster partitions, without waiting for the sensor."""
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.partitions import add_batches
    from podcast_assets.intake.arrivals import find_arrival, list_incoming

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    if everything:
        incoming = list_incoming(opened_store)
        print_refused(incoming)
        chosen = list(incoming.arrivals)
        if not chosen:
            raise BadInput("there are no batches under incoming/")
    else:
        chosen = [find_arrival(opened_store, b).batch for b in batches]
        if not chosen:
            raise Misconfigured("name batches, or pass --all")
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        add_batches(instance, chosen)
    print_line(f"batches registered as partitions: {len(chosen)}")


@click.command()
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="Slots of the gpu pool.")
@click.option(
    "--postgres", is_flag=True, help="Keep the instance in PostgreSQL (DAGSTER_POSTGRES_HOST and related variables)."
)
def init(gpus: int, postgres: bool) -> None:
    """Set up the Dagster instance: DAGSTER_HOME, its dagster.yaml, and the slots of the gpu pool."""
    import dagster as dg

    from podcast_assets.defs.instance import POSTGRES, prepare_home, set_gpu_slots

    home = prepare_home(load_settings(), POSTGRES if postgres else None)
    with dg.DagsterInstance.get() as instance:
        set_gpu_slots(instance, gpus)
    print_line(f"{home} is set up; the gpu pool has {count_noun(gpus, 'slot')}")


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Name by which a proxy reaches the UI. Requests for names other than localhost and 127.0.0.1 are refused.",
)
def dev(port: int, hosts: tuple[str, ...]) -> None:
    """Start the Dagster UI on this machine: the webserver and the daemon."""
    from podcast_assets.defs.instance import prepare_home, project_file
    from podcast_assets.defs.local_ui import dev_command

    prepare_home(load_settings())
    workspace = str(project_file("workspace.yaml"))
    print_line(f"starting the Dagster UI at http://127.0.0.1:{port} (press Ctrl+C to stop)")
    # Dagster handles SIGTERM as SIGINT, which shells ignore for a process in the background: it would ignore both
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # not `dg dev`, which takes no workspace.yaml
    command = dev_command(hosts, ["-w", workspace, "-h", "127.0.0.1", "-p", str(port)])
    os.execvp(command[0], command)  # noqa: S606
