"""`podcast-assets run` and `demo`: process a batch from source to shards, in this process."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from podcast_assets.cli.redo import YES, confirm_redo
from podcast_assets.cli.remote_texts import confirm_remote
from podcast_assets.cli.terminal import (
    PROFILE,
    STORE,
    json_option,
    load_settings,
    open_store,
    output,
    print_json,
    print_line,
    print_warnings,
)
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings


@click.command()
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--batch", help="Name of the batch. Default: derived from the paths of the inputs.")
@PROFILE
@STORE
@click.option("--language", help="Language (ISO 639-1) of episodes whose metadata give none.")
@json_option("the result as one JSON object")
@YES
def run(
    inputs: tuple[Path, ...],
    batch: str | None,
    profile: str | None,
    store: str | None,
    language: str | None,
    as_json: bool,
    yes: bool,
) -> None:
    """Turn folders, archives, files or lists of URLs into a dataset, in this process. Run it again to resume."""
    from podcast_assets.cli.lists import print_metadata, submit_lists
    from podcast_assets.intake.given_tables import sort_tables
    from podcast_assets.intake.place import batch_name_for, place_inputs

    settings = load_settings(profile=profile, store=store, language=language)
    tables = sort_tables(inputs, settings.meta_key)
    if tables.files and tables.lists:
        raise Misconfigured(
            f"{tables.lists[0]} is a list of URLs, which cannot share a batch with files: run them separately"
        )
    name = batch or batch_name_for(inputs)
    if tables.lists:
        print_warnings("", submit_lists(open_store(settings), tables.lists, name, {})[1])
    else:
        place_inputs(open_store(settings), inputs, name)
        print_metadata(tables.metadata, settings.meta_key)
    _run_and_report(settings, name, as_json=as_json, yes=yes)


@click.command()
@STORE
@json_option("the result as one JSON object")
def demo(store: str | None, as_json: bool) -> None:
    """Process the sample batch and measure the result against its reference transcripts."""
    from podcast_assets import demo as sample
    from podcast_assets.intake.arrivals import INCOMING

    settings = load_settings(profile="demo", store=store)
    opened_store = open_store(settings)
    archive = f"{INCOMING}/{sample.BATCH_NAME}.tar"
    if not opened_store.exists(archive):
        with opened_store.writing(archive) as f:
            sample.write_sample_archive(f)
    _run_and_report(settings, sample.BATCH_NAME, as_json=as_json, demonstration=True)


def _run_and_report(
    settings: "Settings", batch: str, *, as_json: bool, demonstration: bool = False, yes: bool = True
) -> None:
    """Run the job on a batch in this process and print the report. Ends the program with an error if the run failed.

    Args:
        settings: settings of the run.
        batch: name of the batch.
        as_json: print the report as one JSON object.
        demonstration: print one screen that compares the sample batch with its references.
        yes: do not ask before finished audio is processed again.
    """
    import dagster as dg

    from podcast_assets.defs.instance import end_dead_runs, prepare_home
    from podcast_assets.defs.launch import run_in_process
    from podcast_assets.defs.loggers import clear_status_line
    from podcast_assets.quality.policies.policy import load_policy
    from podcast_assets.stages.profiles import choose_profile
    from podcast_assets.stages.report import batch_report, describe_state, nothing_done, show

    settings = confirm_remote(settings)
    load_policy(settings.policy)  # report a mistake in it, or a missing model, before hours of work
    profile = choose_profile(settings)
    if not demonstration:
        print_line("profile ", (profile.name, "bold"), f": {profile.reason}")
    for engine in filter(None, (profile.separator, profile.diarizer, profile.transcriber, profile.scorer)):
        engine.fetch()
    if profile.note:
        print_line((profile.note, "yellow"))
    prepare_home(settings)
    began = time.monotonic()
    with dg.DagsterInstance.get() as instance:
        for run_id in end_dead_runs(instance):
            print_line(
                f"run {run_id[:8]} had died and is marked as failed; `podcast-assets backfill --missing` resumes it"
            )
        settings = settings.model_copy(update={"profile": profile.name})
        confirm_redo(instance, settings, open_store(settings), [batch], yes=yes, here=True)
        outcome = run_in_process(
            instance,
            settings,
            [batch],
            source="command",
            logger="status_line" if demonstration else "terminal",
        )
    if demonstration:
        clear_status_line()
        if outcome.succeeded:
            print_line(f"the sample batch, processed in {time.monotonic() - began:.0f} s:")
    opened_store = open_store(settings)
    report = batch_report(opened_store, batch, outcome.seconds)
    if as_json:
        print_json(report.to_json() | {"profile": profile.name, "error": outcome.error})
    elif demonstration and outcome.succeeded:
        from podcast_assets.cli.demo_report import show_demo

        show_demo(report, opened_store, output)
    else:
        show(report, opened_store, output)
    if not outcome.succeeded:
        print_line((f"run {outcome.run_id[:8]} failed: {outcome.error}", "red"))
        sys.exit(1)
    if why := nothing_done(report):
        print_line((why, "red"))
        sys.exit(1)
    if not demonstration:
        style = "" if report.state == "done" else "yellow"
        print_line((f"{describe_state(report)}, in {time.monotonic() - began:.0f} s", style))
