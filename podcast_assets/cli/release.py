"""`podcast-assets release`: publish the sealed samples that may be released."""

import json
import sys
from typing import Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import STORE, count_noun, load_settings, output, print_line

_NAMED = 10
"""Shards and episodes that are listed at most."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what a release would do, without changing anything.")
@click.option(
    "--drop",
    multiple=True,
    metavar="BATCH",
    help="Remove a batch from the dataset although this store does not have it; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on standard output.")
@STORE
def release(dry_run: bool, drop: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Publish all sealed samples that may be released, in one commit. Run it again to resume."""
    import dagster as dg

    from podcast_assets.defs.instance import end_dead_runs, prepare_home
    from podcast_assets.defs.launch import release_in_process

    settings = load_settings(store=store)
    if dry_run:
        from podcast_assets.release.options import release_options
        from podcast_assets.release.release import preview
        from podcast_assets.release.result import result_to_json
        from podcast_assets.release.targets.choose import choose_target
        from podcast_assets.store.store import Store

        opened_store = Store.at(settings.store)
        told: dict[str, Any] | None = result_to_json(
            preview(opened_store, choose_target(settings, opened_store), release_options(settings, frozenset(drop)))
        )
    else:
        prepare_home(settings)
        with dg.DagsterInstance.get() as instance:
            end_dead_runs(instance)
            told, why = release_in_process(instance, settings, drop)
        if told is None:
            print_line((f"not released: {why}", "red"))
            sys.exit(1)
    if told is not None:
        click.echo(json.dumps(told, ensure_ascii=False)) if as_json else _print_result(told, dry_run=dry_run)


def _print_result(told: dict[str, Any], *, dry_run: bool) -> None:
    print_line(told["where"])
    would = "would be " if dry_run else ""
    for name, words in (("new", "new"), ("anew", "rebuilt"), ("removed", "removed")):
        paths = told[name]
        if paths:
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            listed = f"{', '.join(paths[:_NAMED])}{more}"
            output.print(Text(f"{count_noun(len(paths), 'shard')} {would}{words}: {listed}"), soft_wrap=True)
    if told["kept"]:
        output.print(f"unchanged: {count_noun(told['kept'], 'shard')}")
    for grain, totals in told["totals"].items():
        output.print(
            f"{grain}: {totals['samples']:,.0f} in {count_noun(totals['shards'], 'shard')}, {totals['hours']:.2f} h"
        )
    if told["tables"]:
        output.print(f"changed tables: {len(told['tables'])}")
    for row in told["not_released"]:
        text = f"not released, {row['reason']}: {count_noun(row['episodes'], 'episode')}, {row['hours']:.2f} h"
        output.print(Text(text, "yellow"))
    for row in told["withheld"][:_NAMED]:
        output.print(Text(f"  {row['batch']}/{row['episode_id']}: {row['detail']}"), soft_wrap=True)
    for row in told["still_published"][:_NAMED]:
        text = f"still published: {row['batch']}/{row['episode_id']}: {row['detail']}"
        output.print(Text(text, "red"), soft_wrap=True)
    if told["advice"]:
        print_line((told["advice"], "yellow"))
    if not told["changed"] and not told["totals"] and not told["withheld"]:
        print_line(("nothing is sealed in this store: run `podcast-assets run` first", "yellow"))
    elif not told["changed"]:
        print_line("there is nothing to release" if dry_run else "nothing has changed since the last release")
    elif not dry_run:
        named = (
            f" {told['tag']} {told['revision']}" if told["tag"] else ""
        )  # a folder's revision says nothing to people
        print_line((f"released{named}", "green"), f": {told['bytes']:,} bytes uploaded")
