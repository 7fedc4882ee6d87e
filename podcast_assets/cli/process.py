"""`podcast-assets process`: process single episodes again, with other engines where asked for."""

import datetime
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.redo import YES, confirm_redo
from podcast_assets.cli.terminal import (
    PROFILE,
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
)
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.store.stage_names import STAGES

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings
    from podcast_assets.store.store import Store

_USUAL = "auto"
"""Value of an option that takes its choice back."""


@click.command()
@click.argument("names", nargs=-1, metavar="[EPISODE]...")
@click.option(
    "--from",
    "first",
    type=click.Choice(list(STAGES.values())),
    help="Stage to begin with. Default: the first that a choice changes, or else the first of all.",
)
@click.option("--diarizer", help="Diarizer of these EPISODES from now on.")
@click.option(
    "--transcriber",
    help="Transcriber of these EPISODES from now on, perhaps with its model or one that takes over: faster-whisper:large-v3, "
    "parakeet>faster-whisper.",
)
@click.option("--speakers", metavar="N|MIN-MAX", help="Number of speakers in each, or its range, such as 2-4.")
@click.option("--language", help="Language (ISO 639-1) that is spoken in them.")
@click.option("--undo", is_flag=True, help="Take back what was chosen for EPISODES, and process them as usual.")
@click.option("--list", "list_all", is_flag=True, help="List the episodes for which something was chosen.")
@click.option("--here", is_flag=True, help="Run in this process instead of submitting it to the Dagster daemon.")
@YES
@json_option("a JSON array of the records")
@PROFILE
@STORE
def process(
    names: tuple[str, ...],
    first: str | None,
    diarizer: str | None,
    transcriber: str | None,
    speakers: str | None,
    language: str | None,
    undo: bool,
    list_all: bool,
    here: bool,
    yes: bool,
    as_json: bool,
    profile: str | None,
    store: str | None,
) -> None:
    """Process EPISODES again (id, batch/id, file, batch/file, SHA-256 or URL), with other engines where they are named.

    What depends on a changed result follows. The engines that are named stay those of the episodes in later runs, override
    their metadata, and are shown by `episodes`; `auto` takes one back, --undo all. Other episodes of their batches are processed
    again only where, as in any run, their engines or settings have changed. Until the new result is committed, tables and shards
    keep the old one.
    """
    given = {"diarizer": diarizer, "transcriber": transcriber, "speakers": speakers, "language": language}
    options = {name: value for name, value in given.items() if value is not None}
    if undo + list_all > 1 or ((undo or list_all) and options) or (list_all and (names or first)):
        raise Misconfigured("give one of the choices for EPISODES, --undo (with EPISODES) and --list (alone)")
    settings = load_settings(profile=profile, store=store)
    opened_store = open_store(settings)
    if list_all:
        _list(opened_store, as_json)
        return
    if not names:
        raise Misconfigured("name the EPISODES, or give --list")
    choices = _parse_choices(options, settings, here=here)
    if not _process(
        opened_store, settings, names, None if undo else choices, first, here=here, yes=yes, as_json=as_json
    ):
        sys.exit(1)


def _parse_choices(options: dict[str, str], settings: "Settings", *, here: bool) -> dict[str, Any]:
    """Parse the options into columns of the record; None for the usual.

    Raises:
        BadInput, Misconfigured: a value is not one of the option's.
        EngineUnavailable: with `here`, an engine cannot be used on this machine.
    """
    from podcast_assets.common.errors import EngineUnavailable
    from podcast_assets.common.language_codes import language_code
    from podcast_assets.engines.availability import check_available
    from podcast_assets.intake.given_metadata import parse_speakers
    from podcast_assets.stages.engine_choices import diarizer_choice, parse_transcriber
    from podcast_assets.stages.profiles import choose_profile

    chosen: dict[str, Any] = {}
    engines = []
    profile = choose_profile(settings) if options.keys() & {"diarizer", "transcriber"} else None
    for option, value in options.items():
        text = value.strip()
        if option == "speakers":
            counts = {} if text == _USUAL else parse_speakers(text)
            exact = counts.get("num_speakers")
            chosen |= {name: exact or counts.get(name) for name in ("min_speakers", "max_speakers")}
        elif text == _USUAL:
            chosen[option] = None
        elif option == "language":
            chosen[option] = language_code(text)
            if chosen[option] is None:
                raise BadInput(f"{text!r} is not a language: give a code, such as en, or `auto`")
        elif option == "diarizer" and profile:
            choice = diarizer_choice(settings, profile)
            known = {e.name: e for e in (choice.usual, *choice.others)}
            if text not in known:
                raise BadInput(f"no diarizer is called {text!r}; there are: {', '.join(sorted(known))}")
            engines.append(known[text])
            chosen[option] = text
        elif profile:
            engines.append(parse_transcriber(text, settings, profile)[0])
            chosen[option] = text
    for engine in engines:
        available, why = check_available(engine)
        if not available and here:
            raise EngineUnavailable(f"{engine.name} cannot be used here, and nothing was changed: {why}")
        if not available:
            print_line((f"{engine.name} cannot be used on this machine: {why}", "yellow"))
    return chosen


def _process(
    store: "Store",
    settings: "Settings",
    names: Sequence[str],
    choices: dict[str, Any] | None,
    first: str | None,
    *,
    here: bool,
    yes: bool,
    as_json: bool,
) -> bool:
    """Record the choices, forget results, and run the batches; return whether that succeeded.

    Args:
        store: the store.
        settings: settings of the run.
        names: names of episodes.
        choices: columns of the record; None to take all back.
        first: stage to begin with; None for the first that changes.
        here: whether to run in this process.
        yes: do not ask before other episodes of the batches are processed again.
        as_json: whether to print the records.
    """
    import dagster as dg

    from podcast_assets.cli.backfill import run_batches_here, submit_backfill
    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.partitions import busy_batches
    from podcast_assets.intake.arrivals import list_incoming
    from podcast_assets.stages import reprocess
    from podcast_assets.store.override_records import CHOICES, describe_override

    rows = reprocess.find_overridden(store, names) if choices is None else reprocess.find_processable(store, names)
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    arrivals = list_incoming(store).arrivals
    if gone := [batch for batch in batches if batch not in arrivals]:
        raise BadInput(f"the source of {', '.join(gone)} is no longer under incoming/, and without it no run can begin")
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        if busy := sorted(set(batches) & busy_batches(instance)):
            raise BadInput(f"in a queued or active run: {', '.join(busy)}. Nothing was changed: wait for its end")
        own = {(row["batch"], row["episode_id"]) for row in rows}
        confirm_redo(instance, settings, store, batches, yes=yes, here=here, without=own)
        changes: dict[str, Any] = dict.fromkeys(CHOICES, None) if choices is None else choices
        assets = reprocess.assets_from(first) if first else () if changes else reprocess.assets_from("ingest")
        records = []
        for row in rows:
            place = f"{row['batch']}/{row['episode_id']}"
            with store.batch_lock(row["batch"]):
                reprocess.forget_results(store, row["batch"], [row["episode_id"]], assets)
                record = reprocess.choose_for_episode(store, row, changes, datetime.datetime.now(datetime.UTC))
            records += [record] if record else []
            chosen = describe_override(record) if record else "the usual engines"
            print_line(f"{place} ({row['source']}) is processed again with {chosen}")
        if as_json:
            _print_records(records)
        if here:
            return run_batches_here(instance, settings, batches)
        submit_backfill(instance, settings, batches)
        return True


def _list(store: "Store", as_json: bool) -> None:
    from podcast_assets.store.override_records import OVERRIDE_RECORDS, describe_override

    records = OVERRIDE_RECORDS.read_all(store).sort("at", descending=True, maintain_order=True).to_dicts()
    if as_json:
        _print_records(records)
        return
    table = make_table("episode, and its engines", "date", no_wrap=("date",))
    for row in records:
        place = f"{row['batch']}/{row['episode_id']}"
        table.add_row(Text(f"{place}\n  {row['source']}: {describe_override(row)}"), f"{row['at']:%Y-%m-%d}")
    output.print(table)


def _print_records(records: Sequence[dict[str, Any]]) -> None:
    print_json(records, default=lambda value: value.isoformat())
