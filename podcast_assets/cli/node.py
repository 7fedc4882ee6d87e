"""`podcast-assets node …`: machines of a Ray cluster."""

import logging
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from podcast_assets.cli.terminal import json_option, load_settings, make_table, output, print_json, print_line
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.wording import count_noun


@click.group()
def node() -> None:
    """Join this machine to a Ray cluster, and list the machines of one."""


def _names(_context: click.Context, _parameter: click.Parameter, value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


@node.command("join")
@click.option("--address", required=True, metavar="HOST:PORT", help="Head of the cluster (`ray start --head`).")
@click.option("--name", metavar="NAME", help="Name of this machine in lists. By default its address.")
@click.option("--gpus", type=click.IntRange(0), help="GPUs to offer. By default all that Ray finds.")
@click.option("--engines", default="", callback=_names, metavar="NAME,…", help="Engines whose work it prefers.")
@click.option("--languages", default="", callback=_names, metavar="CODE,…", help="Languages whose episodes it prefers.")
@click.option(
    "--idle-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Leave after this time without work.",
)
@click.option(
    "--empty-checks",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Leave only after this many checks in a row without work.",
)
@click.option(
    "--unreachable-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Leave after this time without an answer of the head.",
)
@click.option("--persistent", is_flag=True, help="Stay whatever happens.")
@click.option(
    "--check-seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Time between two checks.",
)
def join(
    address: str,
    name: str | None,
    gpus: int | None,
    engines: list[str],
    languages: list[str],
    idle_minutes: float,
    empty_checks: int,
    unreachable_minutes: float,
    persistent: bool,
    check_seconds: float,
) -> None:
    """Work for a Ray cluster until there is no work, or no head; then exit with 0.

    A cluster with a token wants RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.
    """
    from podcast_assets.stages.compute.node_agent import NodeAgent
    from podcast_assets.stages.compute.node_labels import labels_of
    from podcast_assets.stages.compute.node_watch import Patience

    host, colon, port = address.rpartition(":")
    if not host or not colon or not port.isdigit():
        raise click.BadParameter("must be HOST:PORT, such as head.example.org:6379", param_hint="--address")
    try:
        labels = labels_of(engines, languages)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--engines, --languages") from error
    command = [_ray(), "start", "--address", address, "--block", "--disable-usage-stats"]
    command += ["--num-gpus", str(gpus)] if gpus is not None else []
    command += ["--node-name", name] if name else []
    command += ["--labels", ",".join(f"{key}={value}" for key, value in labels.items())] if labels else []
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    patience = Patience(idle_minutes, empty_checks, unreachable_minutes, persistent)
    agent = NodeAgent(command, (host.strip("[]"), int(port)), patience, check_seconds)
    print_line(f"this machine leaves the cluster: {agent.stay()}")


def _ray() -> str:
    """Return the path of Ray's command, which lies beside this one."""
    beside = Path(sys.executable).with_name("ray")
    found = str(beside) if beside.exists() else shutil.which("ray")
    if found is None:
        raise Misconfigured("Ray is not installed: pip install 'podcast-assets[ray]'")
    return found


@node.command("list")
@json_option("a list of objects")
def list_all(as_json: bool) -> None:
    """List the machines of the cluster at PODCAST_RAY_ADDRESS, with those that left."""
    from podcast_assets.stages.compute.ray_cluster import connect
    from podcast_assets.stages.compute.ray_nodes import list_nodes

    settings = load_settings()
    if settings.ray_address is None:
        raise Misconfigured("PODCAST_RAY_ADDRESS is not set: host:port of the cluster's head, or ray://host:10001")
    connect(settings)
    nodes = list_nodes()
    if as_json:
        print_json([asdict(n) for n in nodes])
        return
    numbers = ("cores", "GPUs")
    table = make_table("machine", "address", "state", *numbers, "prefers", numbers=numbers)
    for n in nodes:
        state = ("head" if n.is_head else "online") if n.alive else "offline"
        table.add_row(
            Text(n.name), n.address, state, f"{n.cpus:g}", f"{n.gpus:g}", Text(", ".join([*n.engines, *n.languages]))
        )
    output.print(table)
    print_line(f"{count_noun(sum(n.alive for n in nodes), 'machine')} online")
