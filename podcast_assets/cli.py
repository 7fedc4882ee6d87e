"""`podcast-assets …`: what people type. Each command is a few lines; the rooms below do the work."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from podcast_assets import memory
from podcast_assets.cli_backfill import backfill
from podcast_assets.cli_catalog import batches, duplicates, episodes, failures, retry
from podcast_assets.cli_dataset import dataset
from podcast_assets.cli_intake import submit
from podcast_assets.cli_models import doctor, models
from podcast_assets.cli_policy import policy
from podcast_assets.cli_release import release
from podcast_assets.cli_speakers import speakers
from podcast_assets.cli_takedown import takedown, takedowns
from podcast_assets.cli_terminal import PROFILE, STORE, output, say, settings_of
from podcast_assets.errors import BadInput, Misconfigured, store_trouble
from podcast_assets.setting_descriptions import describe_settings
from podcast_assets.settings import Settings, environment_name, explain


class _Clean(click.Group):
    """A group whose commands end with one line where the user can do something about an error."""

    def invoke(self, ctx: click.Context) -> Any:
        from podcast_assets.engines import EngineUnavailable

        try:
            return super().invoke(ctx)
        except (BadInput, Misconfigured, EngineUnavailable) as error:
            say((f"podcast-assets: {error}", "red"))
            sys.exit(2)
        except OSError as error:
            if not store_trouble(error):
                raise
            say((f"podcast-assets: {error}", "red"))
            sys.exit(2)
        except ValidationError as error:
            if error.title != Settings.__name__:
                raise
            for line in explain(error):
                say((f"podcast-assets: {line}", "red"))
            sys.exit(2)


@click.group(cls=_Clean, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="podcast-assets")
def main() -> None:
    """Podcasts into speech datasets: diarized, transcribed, scored, sealed as shards."""
    memory.keep_freed()
    os.environ.update({k: v for k, v in memory.ENVIRONMENT.items() if k not in os.environ})


main.add_command(models)
main.add_command(doctor)
main.add_command(backfill)
main.add_command(policy)
main.add_command(speakers)
main.add_command(release)
main.add_command(dataset)
for command in (submit, batches, episodes, duplicates, failures, retry, takedown, takedowns):
    main.add_command(command)


@main.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--batch", help="Name of the batch; by default made from where the inputs lie.")
@PROFILE
@STORE
@click.option("--language", help="ISO 639-1 code of the episodes whose metadata name none.")
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on standard output.")
def run(
    inputs: tuple[Path, ...],
    batch: str | None,
    profile: str | None,
    store: str | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Turn FOLDERS, ARCHIVES or files into a dataset, here and now. To run it again is to resume it."""
    from podcast_assets.intake.place import batch_of, place
    from podcast_assets.store import Store

    settings = settings_of(profile=profile, store=store, language=language)
    name = batch or batch_of(inputs)
    place(Store.at(settings.store), inputs, name)
    _run_and_report(settings, name, as_json=as_json)


@main.command()
@STORE
@click.option("--json", "as_json", is_flag=True, help="End with one JSON object on standard output.")
def demo(store: str | None, as_json: bool) -> None:
    """Take the sample batch all the way, and measure it against its references."""
    from podcast_assets import demo as sample
    from podcast_assets.intake.arrivals import INCOMING
    from podcast_assets.store import Store

    settings = settings_of(profile="demo", store=store)
    room = Store.at(settings.store)
    archive = f"{INCOMING}/{sample.BATCH_NAME}.tar"
    if not room.exists(archive):
        with room.writing(archive) as f:
            sample.write_sample_archive(f)
    _run_and_report(settings, sample.BATCH_NAME, as_json=as_json)
    if not as_json:
        from podcast_assets.demo.evaluate import show_evaluation

        show_evaluation(room, sample.BATCH_NAME, output)


@main.command()
@click.argument("batches", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All batches that lie under incoming/.")
@STORE
def add(batches: tuple[str, ...], everything: bool, store: str | None) -> None:
    """Make BATCHES under incoming/ partitions, without waiting for the sensor; then any way of Dagster's can start them."""
    import dagster as dg

    from podcast_assets.instance import prepare_home
    from podcast_assets.intake.arrivals import find_arrival, list_incoming
    from podcast_assets.launch import add_batches
    from podcast_assets.store import Store

    settings = settings_of(store=store)
    room = Store.at(settings.store)
    chosen = list(list_incoming(room).arrivals) if everything else [find_arrival(room, b).batch for b in batches]
    if not chosen:
        raise Misconfigured("name batches, or say --all")
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        add_batches(instance, chosen)
    say(f"{len(chosen)} batch(es) are partitions now")


@main.command()
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="Slots of the pool gpu.")
@click.option(
    "--postgres", is_flag=True, help="Keep the instance in PostgreSQL, which DAGSTER_POSTGRES_HOST and its like name."
)
def init(gpus: int, postgres: bool) -> None:
    """Set up Dagster's instance: DAGSTER_HOME, its dagster.yaml, and the slots of the pool gpu."""
    import dagster as dg

    from podcast_assets.instance import POSTGRES, prepare_home, set_gpu_slots

    home = prepare_home(settings_of(), POSTGRES if postgres else None)
    with dg.DagsterInstance.get() as instance:
        set_gpu_slots(instance, gpus)
    say(f"{home} is ready; {gpus} step(s) at once may compute on GPUs")


@main.command()
@click.option("--port", default=3000, show_default=True)
def dev(port: int) -> None:
    """Open the Dagster UI on this machine: webserver and daemon, with everything that was materialized."""
    from podcast_assets.instance import prepare_home, project_file

    prepare_home(Settings())
    workspace = str(project_file("workspace.yaml"))
    say(f"the Dagster UI comes up at http://127.0.0.1:{port} (Ctrl+C ends it)")
    # `dg dev` takes no workspace.yaml
    os.execvp(  # noqa: S606
        sys.executable,
        [sys.executable, "-m", "dagster", "dev", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)],
    )


@main.command("settings")
@click.option("--json", "as_json", is_flag=True)
def show_settings(as_json: bool) -> None:
    """Print every setting with its environment variable, value and meaning."""
    settings = Settings()
    values = settings.model_dump(mode="json")
    if as_json:
        click.echo(json.dumps({environment_name(k): v for k, v in values.items()}))
        return
    table = Table("variable", "value", "meaning")
    for setting in describe_settings():
        value = values[setting.field]
        table.add_row(setting.variable, Text("" if value is None else str(value)), setting.description)
    output.print(table)


@main.command()
def profiles() -> None:
    """Print the profiles, and which one `auto` takes here and why."""
    from podcast_assets.profiles import DESCRIPTIONS, choose

    table = Table("profile", "what it is")
    for name, description in DESCRIPTIONS.items():
        table.add_row(name, description)
    output.print(table)
    chosen = choose(Settings())
    output.print(Text.assemble("here: ", (chosen.name, "bold"), f", because {chosen.reason}"), soft_wrap=True)


def _run_and_report(settings: Settings, batch: str, *, as_json: bool) -> None:
    """Run the job on a batch in this process, then say what became of it. Ends the program where the run failed."""
    import dagster as dg

    from podcast_assets.instance import end_dead_runs, prepare_home
    from podcast_assets.launch import run_here
    from podcast_assets.profiles import choose
    from podcast_assets.quality.policy import load_policy
    from podcast_assets.report import batch_report, nothing_done, show
    from podcast_assets.store import Store

    load_policy(settings.policy)  # a mistake there, or a model that cannot be had, is told now and not after hours
    profile = choose(settings)
    say("profile ", (profile.name, "bold"), f": {profile.reason}")
    for engine in filter(None, (profile.separator, profile.diarizer, profile.transcriber, profile.scorer)):
        engine.fetch()
    if profile.note:
        say((profile.note, "yellow"))
    prepare_home(settings)
    began = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        for run_id in end_dead_runs(instance):
            say(f"run {run_id[:8]} had died; this one takes up what it left")
        outcome = run_here(instance, settings.model_copy(update={"profile": profile.name}), [batch], source="command")
    room = Store.at(settings.store)
    report = batch_report(room, batch, outcome.seconds)
    if as_json:
        click.echo(json.dumps(report.to_json() | {"profile": profile.name, "error": outcome.error}, ensure_ascii=False))
    else:
        show(report, room, output)
    if not outcome.succeeded:
        say((f"run {outcome.run_id[:8]} failed: {outcome.error}", "red"))
        sys.exit(1)
    if why := nothing_done(report):
        say((why, "red"))
        sys.exit(1)
    say(f"done in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
