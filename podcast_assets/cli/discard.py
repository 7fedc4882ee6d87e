"""`podcast-assets discard`: leave episodes out of later stages, shards and releases, list them, and undo it."""

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
)
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from podcast_assets.store.store import Store


@click.command()
@click.argument("names", nargs=-1, metavar="[EPISODE]...")
@click.option("--reason", help="Reason, recorded and shown wherever the episode is listed.")
@click.option("--by", help="Who decided it; recorded.")
@click.option("--undo", is_flag=True, help="Take discarded EPISODES back in.")
@click.option("--list", "list_all", is_flag=True, help="List what is discarded.")
@json_option("a JSON array")
@STORE
def discard(
    names: tuple[str, ...],
    reason: str | None,
    by: str | None,
    undo: bool,
    list_all: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Leave EPISODES (id, batch/id, file, batch/file, SHA-256 or URL) out of later stages, shards and releases.

    Nothing is removed, unlike by a takedown: audio and tables stay, and --undo takes the episode back in. Stages no longer process
    or retry it, shards that are sealed from now on do not contain it, and the next release removes it from the published dataset.
    """
    if undo + list_all + bool(reason) > 1 or (list_all and names):
        raise Misconfigured("give one of --reason (with EPISODES), --undo (with EPISODES) and --list (alone)")
    opened_store = open_store(load_settings(store=store))
    if list_all:
        _list(opened_store, as_json)
        return
    if not names:
        raise Misconfigured("name the EPISODES, or give --list")
    if undo:
        _undo(opened_store, names, as_json)
        return
    if reason is None or not reason.strip():
        raise Misconfigured("--reason is missing or empty: it is the only record of why")
    _discard(opened_store, names, " ".join(reason.split()), by, as_json)


def _discard(store: "Store", names: Sequence[str], reason: str, by: str | None, as_json: bool) -> None:
    from podcast_assets.rights.discard import discard as discard_episodes

    found = discard_episodes(store, list(names), reason, by, datetime.datetime.now(datetime.UTC))
    if as_json:
        _print_records([d.record | {"copies": d.copies} for d in found])
    for discarded in found:
        place = _place(discarded.record)
        if not as_json:
            print_line(f"discarded {place}; `podcast-assets discard --undo {place}` takes it back in")
        for copy in discarded.copies:
            print_line((f"{copy} has the same bytes and may be released in its place: discard it too?", "yellow"))


def _undo(store: "Store", names: Sequence[str], as_json: bool) -> None:
    from podcast_assets.rights.discard import undo_discard

    records = undo_discard(store, list(names))
    if as_json:
        _print_records(records)
        return
    for record in records:
        print_line(f"{_place(record)} is no longer discarded")
    batches = " ".join(dict.fromkeys(record["batch"] for record in records))
    print_line(f"`podcast-assets backfill {batches}` processes it where stages have left it out")


def _list(store: "Store", as_json: bool) -> None:
    from podcast_assets.store.discard_records import read_discards

    records = read_discards(store).sort("at", descending=True, maintain_order=True)
    if as_json:
        _print_records(records.to_dicts())
        return
    table = make_table("episode, and why", "date", no_wrap=("date",))
    for row in records.iter_rows(named=True):
        by = f" ({row['by']})" if row["by"] else ""
        table.add_row(Text(f"{_place(row)}\n  {row['source']}: {row['reason']}{by}"), f"{row['at']:%Y-%m-%d}")
    output.print(table)


def _place(record: Mapping[str, Any]) -> str:
    return f"{record['batch']}/{record['episode_id']}"


def _print_records(records: Sequence[Mapping[str, Any]]) -> None:
    print_json(records, default=lambda d: d.isoformat())
