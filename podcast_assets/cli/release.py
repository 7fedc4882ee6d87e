"""`podcast-assets release`: publish the sealed samples that may be released."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from podcast_assets.cli.terminal import STORE, json_option, load_settings, open_store, output, print_json, print_line
from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.wording import count_noun, join_names

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings

_MAX_EPISODES = 10
"""Episodes that are listed per problem."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what a release would do, without changing anything.")
@click.option(
    "--drop",
    multiple=True,
    metavar="BATCH",
    help="Remove a batch from the dataset although this store does not have it; may be repeated.",
)
@json_option("the result as one JSON object")
@STORE
def release(dry_run: bool, drop: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Publish all sealed samples that may be released, in one commit. Run it again to resume."""
    settings = load_settings(store=store)
    result = _preview(settings, drop) if dry_run else _release(settings, drop)
    if as_json:
        print_json(result)
    else:
        _print_result(result, dry_run=dry_run)


def _preview(settings: "Settings", drop: tuple[str, ...]) -> dict[str, Any]:
    """Return what a release would do."""
    from podcast_assets.release.options import release_options
    from podcast_assets.release.release import preview
    from podcast_assets.release.result import result_to_json
    from podcast_assets.release.targets.choose import choose_target
    from podcast_assets.release.targets.protocol import Stale

    store = open_store(settings)
    try:
        found = preview(store, choose_target(settings, store), release_options(settings, frozenset(drop)))
    except Stale as error:
        raise Misconfigured(f"{error}: try again later") from error
    return result_to_json(found)


def _release(settings: "Settings", drop: tuple[str, ...]) -> dict[str, Any]:
    """Release, and return what was done. Ends the program with an error if the run failed."""
    import dagster as dg

    from podcast_assets.defs.instance import end_dead_runs, prepare_home
    from podcast_assets.defs.launch import release_in_process

    prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        end_dead_runs(instance)
        result, why = release_in_process(instance, settings, drop)
    if result is None:
        print_line((f"the release failed: {why}", "red"))
        sys.exit(1)
    return result


def _print_result(result: dict[str, Any], *, dry_run: bool) -> None:
    print_line(result["where"])
    _print_shards(result, dry_run=dry_run)
    _print_withheld(result)
    if result["advice"]:
        print_line((result["advice"], "yellow"))
    if not result["changed"] and not result["totals"] and not result["withheld"]:
        print_line(("nothing is sealed in this store: run `podcast-assets run` first", "yellow"))
    elif not result["changed"]:
        print_line("there is nothing to release" if dry_run else "nothing has changed since the last release")
    elif not dry_run:
        # without a tag the target is a folder, whose revision means nothing to people
        version = f" {result['tag']} {result['revision']}" if result["tag"] else ""
        print_line((f"released{version}", "green"), f": {result['bytes']:,} bytes uploaded")


def _print_shards(result: dict[str, Any], *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    for name, change in (("new", "new"), ("anew", "rebuilt"), ("removed", "removed")):
        if paths := result[name]:
            text = f"{count_noun(len(paths), 'shard')} {would}{change}: {join_names(paths)}"
            output.print(Text(text), soft_wrap=True)
    if result["kept"]:
        output.print(f"unchanged: {count_noun(result['kept'], 'shard')}")
    for grain, totals in result["totals"].items():
        output.print(
            f"{grain}: {totals['samples']:,.0f} in {count_noun(totals['shards'], 'shard')}, {totals['hours']:.2f} h"
        )
    if result["tables"]:
        output.print(f"changed tables: {len(result['tables'])}")


def _print_withheld(result: dict[str, Any]) -> None:
    for row in result["not_released"]:
        text = f"not released, {row['reason']}: {count_noun(row['episodes'], 'episode')}, {row['hours']:.2f} h"
        output.print(Text(text, "yellow"))
    for row in result["withheld"][:_MAX_EPISODES]:
        output.print(Text(f"  {row['batch']}/{row['episode_id']}: {row['detail']}"), soft_wrap=True)
    _print_more(result["withheld"], "  ")
    for row in result["still_published"][:_MAX_EPISODES]:
        text = f"still published: {row['batch']}/{row['episode_id']}: {row['detail']}"
        output.print(Text(text, "red"), soft_wrap=True)
    _print_more(result["still_published"], "still published: ")


def _print_more(rows: Sequence[object], prefix: str) -> None:
    if len(rows) > _MAX_EPISODES:
        output.print(f"{prefix}and {len(rows) - _MAX_EPISODES} more (--json lists all)")
