"""Options of the commands that list batches and episodes: which rows, and in which order."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from podcast_assets.stages.selection import Selection, parse_language, parse_time


def selection_options(statuses: Sequence[str], sorts: Sequence[str]) -> Callable[[Any], Any]:
    """Add the options that select and sort batches or episodes.

    Args:
        statuses: values of `--status`.
        sorts: values of `--sort`, the usual one first.
    """
    options = (
        click.option("--status", type=click.Choice(statuses), help="Only those with this status."),
        click.option("--language", help="Only this language, identified or declared: a code, a name, or `unknown`."),
        click.option("--podcast", help="Only this podcast: its title or guid."),
        click.option("--since", help="Only what arrived at this date or time (UTC) or later."),
        click.option("--until", help="Only what arrived at this date or before this time (UTC)."),
        click.option(
            "--sort", type=click.Choice(sorts), default=sorts[0], show_default=True, help="Order of the list."
        ),
        click.option("--reverse", is_flag=True, help="Reverse the order."),
    )

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def make_selection(
    status: str | None, language: str | None, podcast: str | None, since: str | None, until: str | None
) -> Selection:
    """Make the selection of the values of all options but `--sort` and `--reverse`.

    Raises:
        Misconfigured: a value is neither a language nor a date.
    """
    return Selection(
        status,
        parse_language(language) if language else None,
        podcast,
        parse_time("--since", since) if since else None,
        parse_time("--until", until, end=True) if until else None,
    )
