"""`podcast-assets batches`, `episodes`, `duplicates`, `failures`, `warnings`, `retry`: list what is in the store, and retry."""

import itertools
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.queue import print_pause
from podcast_assets.cli.redo import YES, confirm_redo
from podcast_assets.cli.selecting import make_selection, selection_options
from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
    print_refused,
)
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.common.redaction import redact_text
from podcast_assets.common.wording import join_names
from podcast_assets.intake.names import normalize
from podcast_assets.stages.selection import (
    BATCH_SORTS,
    BATCH_STATES,
    EPISODE_SORTS,
    EPISODE_STATUSES,
    Selection,
)
from podcast_assets.store.stage_names import STAGES, TABLE_STAGES

if TYPE_CHECKING:
    import polars as pl

    from podcast_assets.config.settings import Settings
    from podcast_assets.store.store import Store

_JSON = json_option("a JSON array")
_COLORS = {
    "done": "green",
    "failed": "red",
    "busy": "yellow",
    "begun": "yellow",
    "pending": "yellow",
    **dict.fromkeys(("skipped", "discarded", "empty"), "dim"),
}


def _limit(what: str, count: int) -> Callable[[Any], Any]:
    return click.option(
        "--limit",
        type=click.IntRange(0),
        default=count,
        show_default=True,
        help=f"Maximum number of {what} to show; 0 shows all.",
    )


def _make_table(*texts: str, numbers: Sequence[str]) -> Table:
    """Make a table that fits a terminal of 80 characters by wrapping only its first column."""
    return make_table(*texts, *numbers, numbers=numbers, no_wrap=(*texts[1:], *numbers))


def _with_note(name: str, note: str) -> Text:
    return Text(f"{name}\n  {note}" if note else name)


def _by_batch(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Group adjacent rows by batch."""
    for batch, group in itertools.groupby(rows, key=operator.itemgetter("batch")):
        yield batch, list(group)


@click.command()
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@selection_options([*BATCH_STATES, "pending"], BATCH_SORTS)
@_limit("batches", 50)
@_JSON
@STORE
def batches(
    names: tuple[str, ...], sort: str, reverse: bool, limit: int, as_json: bool, store: str | None, **conditions: Any
) -> None:
    """List batches, newest first, with their progress and the number of failed episodes.

    A batch is done if an episode of it is, failed if all that it has failed, and empty if it has none. Pending is what is not
    finished: arrived, begun and busy. Language and podcast are those of any of its episodes.
    """
    from dataclasses import asdict

    from podcast_assets.intake.arrivals import list_incoming
    from podcast_assets.stages import overview

    selection = make_selection(**conditions)
    settings = load_settings(store=store)
    opened_store = open_store(settings)
    incoming = list_incoming(opened_store)
    known = set(overview.batch_names(opened_store, incoming))
    _check_known(names, known)
    rows = overview.batch_rows(
        opened_store,
        names or None,
        incoming=incoming,
        busy=_batches_in_runs(settings),
        selection=selection,
        sort=sort,
        reverse=reverse,
        # all that are selected are read if any must be, and then their number is known
        limit=None if selection != Selection() else limit or None,
    )
    total = len(rows) if selection != Selection() else len(set(names) or known)
    shown = rows[: limit or None]
    if not names:
        print_refused(incoming)
    print_pause(settings)
    if as_json:
        _print_json([asdict(row) for row in shown])
        _print_remainder("batches", shown, total)
        return
    table = _make_table("batch", "state", "arrived", numbers=("done", "failed", "skipped", "hours"))
    for row in shown:
        stages = "" if row.state in ("done", "failed", "empty") else f" {len(row.stages)} of {len(STAGES)}"
        table.add_row(
            Text(row.batch),
            Text(f"{row.state}{stages}", _COLORS.get(row.state, "")),
            Text((row.arrived or "source removed")[:16].replace("T", " ")),
            str(row.done),
            Text(str(row.failures), "red" if row.failures else ""),
            str(row.skipped),
            f"{row.hours:.2f}",
        )
    output.print(table)
    _print_remainder("batches", shown, total)


@click.command()
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@selection_options(EPISODE_STATUSES, EPISODE_SORTS)
@_limit("episodes", 100)
@_JSON
@STORE
def episodes(
    names: tuple[str, ...], sort: str, reverse: bool, limit: int, as_json: bool, store: str | None, **conditions: Any
) -> None:
    """List the episodes of BATCHES, or of all batches, with their status and language.

    An episode is pending until every stage has processed it. The language is the identified one, or else the declared one.
    """
    from podcast_assets.stages import overview

    selection = make_selection(**conditions)
    opened_store = open_store(load_settings(store=store))
    names_of_all = _resolve_batch_names(opened_store, names)
    rows = overview.episode_rows(opened_store, names_of_all, selection, sort=sort, reverse=reverse)
    shown = rows[: limit or None]
    if as_json:
        _print_json(shown)
        _print_remainder("episodes", shown, len(rows))
        return
    if sort == "batch":
        for batch, rows_of_batch in _by_batch(shown):
            output.rule(Text(batch), align="left")
            output.print(_episodes_table(rows_of_batch))
    else:
        output.print(_episodes_table(shown, with_batch=True))
    _print_remainder("episodes", shown, len(rows))


def _episodes_table(rows: Sequence[Mapping[str, Any]], *, with_batch: bool = False) -> Table:
    table = _make_table("file", "episode", "status", "lang", numbers=("seconds",))
    for row in rows:
        found_elsewhere = f"also in {row['also_in']}" if row["also_in"] else ""
        silent = "no speech" if row["no_speech"] else ""
        chosen = f"processed with {row['override']}" if row["override"] else ""
        note = row["discarded"] or row["error"] or "; ".join(filter(None, (silent, found_elsewhere, chosen)))
        table.add_row(
            _with_note(f"{row['batch']}/{row['source']}" if with_batch else row["source"], note),
            Text("" if row["status"] == "skipped" else row["episode_id"]),
            Text(row["status"], _COLORS[row["status"]]),
            Text(row["language"] or ""),
            "" if row["duration"] is None else f"{row['duration']:.1f}",
        )
    return table


@click.command()
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@_limit("pairs", 100)
@_JSON
@STORE
def duplicates(names: tuple[str, ...], limit: int, as_json: bool, store: str | None) -> None:
    """List pairs of episodes that are the same recording in different files, in BATCHES or in all (PODCAST_NEAR_DUPLICATES).

    `episodes` lists the duplicates that have the same bytes.
    """
    from podcast_assets.intake.duplicates import near as near_duplicates

    settings = load_settings(store=store)
    opened_store = open_store(settings)
    batches = _resolve_batch_names(opened_store, names) if names else None
    rows, troubles = near_duplicates.read_pairs(opened_store, batches)
    for trouble in troubles:
        print_line((trouble, "yellow"))
    shown = rows[: limit or None]
    if as_json:
        _print_json(shown)
        _print_remainder("pairs", shown, len(rows))
        return
    table = Table()
    for name in ("episode", "other", "share", "share of other", "offset"):
        table.add_column(name, justify="left" if name in ("episode", "other") else "right", overflow="fold")
    for row in shown:
        shares = (f"{row['share']:.0%}", f"{row['share_of_other']:.0%}")
        table.add_row(Text(row["episode"]), Text(row["other"]), *shares, f"{row['offset']:.1f} s")
    output.print(table)
    _print_remainder("pairs", shown, len(rows))
    if not rows and not settings.near_duplicates:
        print_line("set PODCAST_NEAR_DUPLICATES=true to detect near duplicates when raw_audio is materialized")


@click.command()
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@click.option(
    "--stage", type=click.Choice(["unpack", "download", *TABLE_STAGES.values()]), help="Only failures of this stage."
)
@click.option("--traceback", is_flag=True, help="Also print tracebacks.")
@_limit("failures", 100)
@_JSON
@STORE
def failures(
    names: tuple[str, ...], stage: str | None, traceback: bool, limit: int, as_json: bool, store: str | None
) -> None:
    """List failures in BATCHES, or in all batches: the stage, the reason, and whether a retry can help."""
    from podcast_assets.stages import overview

    opened_store = open_store(load_settings(store=store))
    rows = overview.failure_rows(opened_store, _resolve_batch_names(opened_store, names), stage=stage)
    shown = rows[: limit or None]
    if as_json:
        _print_json(shown)
        _print_remainder("failures", shown, len(rows))
        return
    for batch, rows_of_batch in _by_batch(shown):
        output.rule(Text(batch), align="left")
        table = _make_table("file, and the reason", "stage", "retryable", numbers=("attempts",))
        for row in rows_of_batch:
            table.add_row(
                _with_note(row["source"], row["message"] or row["error_type"]),
                Text(row["stage"]),
                "no" if row["permanent"] else "yes",
                str(row["attempts"]),
            )
        output.print(table)
    for row in shown if traceback else ():
        output.rule(Text(f"{row['batch']}: {row['source']}: {row['stage']}"))
        for line in (row["traceback"] or "none").splitlines():
            output.print(Text(line), soft_wrap=True)
    _print_remainder("failures", shown, len(rows))


@click.command()
@click.argument("names", nargs=-1, metavar="[BATCH]...")
@_JSON
@STORE
def warnings(names: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """List what deserves a look in BATCHES, or in all batches: what failed or was skipped, unused metadata, missing speech."""
    from dataclasses import asdict

    from podcast_assets.stages.batch_warnings import read_batch_warnings
    from podcast_assets.stages.report import show_warnings

    opened_store = open_store(load_settings(store=store))
    found = {batch: read_batch_warnings(opened_store, batch) for batch in _resolve_batch_names(opened_store, names)}
    if as_json:
        _print_json([{"batch": batch, **asdict(warning)} for batch, listed in found.items() for warning in listed])
        return
    for batch, listed in found.items():
        if listed:
            output.rule(Text(batch), align="left")
            show_warnings(listed, output)
    if not any(found.values()):
        print_line("nothing deserves a look")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="BATCH|EPISODE...")
@click.option("--permanent", is_flag=True, help="With --here: also retry failures caused by the data.")
@click.option("--here", is_flag=True, help="Run in this process instead of submitting it to the Dagster daemon.")
@YES
@STORE
def retry(names: tuple[str, ...], permanent: bool, here: bool, yes: bool, store: str | None) -> None:
    """Retry what failed in BATCHES, or in the batches of EPISODES (any name). Finished work is not repeated."""
    import dagster as dg

    from podcast_assets.cli.backfill import run_batches_here, submit_backfill
    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.partitions import busy_batches
    from podcast_assets.rights.store_clearance import read_episodes
    from podcast_assets.stages import overview

    if permanent and not here:
        raise Misconfigured("--permanent only works together with --here")
    settings = load_settings(store=store, retry_permanent=permanent or None)
    opened_store = open_store(settings)
    known = overview.batch_names(opened_store)
    failed = overview.failure_rows(opened_store, known)
    episodes = read_episodes(opened_store, sorted({row["batch"] for row in failed}))
    chosen = _batches_to_retry(names, set(known), failed, episodes, permanent=settings.retry_permanent)
    if not chosen:
        print_line("nothing to retry: there are no failures, or all were caused by the data")
        return
    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        if busy := set(chosen) & busy_batches(instance):
            print_line(f"already in a queued or active run: {', '.join(sorted(busy))}")
        chosen = [b for b in chosen if b not in busy]
        if chosen:
            confirm_redo(instance, settings, opened_store, chosen, yes=yes, here=here)
        if chosen and not here:
            submit_backfill(instance, settings, chosen)
        elif chosen and not run_batches_here(instance, settings, chosen):
            sys.exit(1)


def _batches_to_retry(
    names: Sequence[str],
    known: set[str],
    failed: Sequence[Mapping[str, Any]],
    episodes: "pl.DataFrame",
    *,
    permanent: bool,
) -> list[str]:
    """Select the batches that contain the named failures.

    Args:
        names: names of batches or episodes.
        known: all batches.
        failed: rows of failures.
        episodes: rows of `raw_audio` of the batches with failures, with their `batch`.
        permanent: include failures caused by the data.

    Raises:
        BadInput: a name is neither a batch nor a failed episode.
    """
    import polars as pl

    from podcast_assets.intake.episode_lookup import find_episodes

    key = ["batch", "episode_id"]
    columns = dict.fromkeys((*key, "source"), pl.String)
    of_failures = pl.DataFrame([{name: row[name] for name in columns} for row in failed], schema=columns).unique()
    of_failures = of_failures.join(episodes.select(*key, "sha256", "metadata"), on=key, how="left")
    chosen: list[str] = []
    for name in map(normalize, names):
        rows = [row for row in failed if row["batch"] == name]
        if name not in known:
            places = set(find_episodes(name, of_failures).select(key).iter_rows())
            rows = [row for row in failed if (row["batch"], row["episode_id"]) in places]
            if not rows:
                raise BadInput(
                    f"{redact_text(name)!r} is neither a batch nor a failed episode; `podcast-assets failures` lists "
                    "failed episodes"
                )
        chosen += [row["batch"] for row in rows if permanent or not row["permanent"]]
    return list(dict.fromkeys(chosen))


def _batches_in_runs(settings: "Settings") -> set[str]:
    """Batches in queued or active runs; empty without a Dagster instance."""
    from podcast_assets.defs.unfinished_runs import may_have_unfinished_runs

    home = settings.dagster_home
    if not (home / "dagster.yaml").exists() or not may_have_unfinished_runs(home):
        return set()
    import dagster as dg

    from podcast_assets.defs.instance import prepare_home
    from podcast_assets.defs.partitions import busy_batches

    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        return busy_batches(instance)


def _resolve_batch_names(store: "Store", names: Sequence[str]) -> list[str]:
    from podcast_assets.stages import overview

    known = overview.batch_names(store)
    _check_known(names, set(known))
    return list(dict.fromkeys(names)) or known


def _check_known(names: Sequence[str], known: set[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"there is no batch {join_names(unknown)}; `podcast-assets batches` lists all")


def _print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    print_json(rows, default=str)


def _print_remainder(what: str, shown: Sized, total: int) -> None:
    if total > len(shown):
        print_line(f"{len(shown)} of {total} {what}; --limit 0 shows all")
