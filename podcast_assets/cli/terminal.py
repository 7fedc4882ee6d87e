"""Terminal output and options shared by the commands."""

import logging
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from podcast_assets.config.settings import Settings

messages = Console(stderr=True, highlight=False, emoji=False)
output = Console(highlight=False, emoji=False)

PROFILE = click.option(
    "--profile",
    type=click.Choice(["auto", "demo", "embedded", "cpu", "gpu"]),
    help="Profile: the set of engines to use (PODCAST_PROFILE).",
)
STORE = click.option("--store", help="Folder or URL of the store (PODCAST_STORE).")

_LEVELS = {"red": logging.ERROR, "yellow": logging.WARNING}

log = logging.getLogger(__name__)


def print_line(*parts: str | tuple[str, str]) -> None:
    """One line on standard error, of texts and (text, style). Names and errors are data: no markup is read in them.

    Where the settings ask for JSON, it is a JSON line, and red and yellow are its level.
    """
    line = Text.assemble(*parts)
    if logging.getLogger("podcast_assets").handlers:
        styles = {part[1] for part in parts if isinstance(part, tuple)}
        log.log(max((_LEVELS.get(style, logging.INFO) for style in styles), default=logging.INFO), line.plain)
    else:
        messages.print(line, soft_wrap=True)


def count_noun(number: int, noun: str) -> str:
    """Format a number with its noun.

    >>> counted(1, "shard"), counted(2000, "shard")
    ('1 shard', '2,000 shards')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def load_settings(**given: Any) -> "Settings":
    """Load the settings of the environment, overridden by the command line, and set up logging as they say."""
    from podcast_assets.config.settings import Settings

    settings = Settings(**{k: v for k, v in given.items() if v is not None})
    if settings.log_format == "json":
        from podcast_assets.common.log_lines import configure_json_logging

        configure_json_logging()
    return settings
