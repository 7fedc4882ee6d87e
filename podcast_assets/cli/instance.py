"""`podcast-assets init`, `add`, `dev`: the Dagster instance, its partitions and its UI."""

import os
import signal
import socket
import subprocess
import sys

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
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Least severe messages of Dagster's webserver and daemon that are shown. Runs always write theirs.",
)
@click.option(
    "--review-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Port of the review page, where the extra review is installed: that of the UI plus 1 by default; 0 starts none.",
)
def dev(port: int, hosts: tuple[str, ...], log_level: str, review_port: int | None) -> None:
    """Start the Dagster UI on this machine: the webserver and the daemon; and the review page, where it is installed."""
    from podcast_assets.defs.instance import prepare_home, project_file, query_databases
    from podcast_assets.defs.local_ui import dev_command

    settings = load_settings()
    _require_free_port(port)
    review = choose_review_port(port, review_port)
    if review:
        _require_free_port(review)
    prepare_home(settings)
    query_databases()
    workspace = str(project_file("workspace.yaml"))
    address = f"http://127.0.0.1:{port}"
    print_line(f"starting the Dagster UI at {address}, which takes some seconds (Ctrl+C stops it)")
    print_line(f"  {address}/asset-groups  the assets, and what each is made from")
    print_line(f"  {address}/assets/transcripts  Partitions shows what was made of each batch; other assets: Catalog")
    print_line(f"  {address}/runs  what runs, and its log")
    print_line(
        f"  a new batch starts by itself: put files into {settings.store}/incoming/, or `podcast-assets submit FILE…`"
    )
    if review:
        start_review_page(review)
    # Dagster handles SIGTERM as SIGINT, which shells ignore for a process in the background: it would ignore both
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # not `dg dev`, which takes no workspace.yaml
    command = dev_command(hosts, ["-w", workspace, "-h", "127.0.0.1", "-p", str(port), "--log-level", log_level])
    os.execvp(command[0], command)  # noqa: S606


def choose_review_port(port: int, wanted: int | None) -> int:
    """Port of the review page beside the UI; 0 for none.

    Raises:
        Misconfigured: it is wanted, and the extra is not installed.
    """
    from podcast_assets.cli.review import is_installed

    if wanted == 0:
        return 0
    if is_installed():
        return wanted or port + 1
    message = "the review page needs the extra review: pip install 'podcast-assets[review]'"
    if wanted is not None:
        raise Misconfigured(message)
    print_line(message)
    return 0


def start_review_page(port: int) -> None:
    """Start the review page in a process of its own, which ends with this one."""
    command = [
        sys.executable,
        "-m",
        "podcast_assets.cli",
        "review",
        "--port",
        str(port),
        "--login-link",
        "--beside-dagster",
        str(os.getpid()),
    ]
    subprocess.Popen(command)  # noqa: S603


def _require_free_port(port: int) -> None:
    """Raise an error that says what to do, because Dagster's own comes from a process of its own, after seconds.

    Raises:
        Misconfigured: something listens on the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Misconfigured(
                f"port {port} of this machine cannot be used ({error.strerror}): another `podcast-assets dev` may be running; "
                "pass --port"
            ) from error
