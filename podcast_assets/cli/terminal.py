"""Terminal output and options shared by the commands."""

import json
import logging
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from podcast_assets.common.printable import printable, printable_json
from podcast_assets.common.printable_logs import PrintableFormatter, level_number
from podcast_assets.common.redaction import redact_cell, redact_json, redact_text

if TYPE_CHECKING:
    from podcast_assets.common.warned import BatchWarning
    from podcast_assets.config.settings import Settings
    from podcast_assets.intake.arrivals import Incoming
    from podcast_assets.store.store import Store


class SafeConsole(Console):
    """A console that shows control characters of names and texts as escapes, and URLs without logins and queries.

    What is printed with `soft_wrap` is one line; line feeds in other texts are kept.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `Console.print` does."""
        if options.get("soft_wrap"):
            objects = tuple(_escape_text(o, keep_newlines=False) for o in objects)
        super().print(*objects, **options)

    def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
        """Render as `Console.render` does; texts in tables and other renderables come through here too."""
        if isinstance(renderable, str):
            renderable = self.render_str(renderable)
        return super().render(_escape_text(renderable, keep_newlines=True), options)


def _escape_text(renderable: Any, *, keep_newlines: bool) -> Any:
    """Redact and escape a text or string; its styles are kept. Anything else is returned as it is."""
    if isinstance(renderable, str):
        return printable(redact_cell(renderable), keep_newlines=keep_newlines)
    if not isinstance(renderable, Text):
        return renderable
    if (redacted := redact_cell(renderable.plain)) != renderable.plain:
        # the styles of its parts no longer lie where they did: all of it gets the first one
        style, renderable = renderable.get_style_at_offset(messages, 0), renderable.blank_copy(redacted)
        renderable.style = style
    if printable(renderable.plain, keep_newlines=keep_newlines) == renderable.plain:
        return renderable
    result = renderable.blank_copy()
    for piece in renderable.divide(range(1, len(renderable))):
        result.append_text(_with_plain(piece, printable(piece.plain, keep_newlines=keep_newlines)))
    return result


def _with_plain(piece: Text, plain: str) -> Text:
    if piece.plain == plain:
        return piece
    style = piece.get_style_at_offset(messages, 0)
    return Text(plain, style)


messages = SafeConsole(stderr=True, highlight=False, emoji=False)
output = SafeConsole(highlight=False, emoji=False)

PROFILE = click.option(
    "--profile",
    type=click.Choice(["auto", "demo", "embedded", "cpu", "gpu"]),
    help="Profile: the set of engines to use (PODCAST_PROFILE).",
)
STORE = click.option("--store", help="Folder or URL of the store (PODCAST_STORE).")

_LEVELS = {"red": logging.ERROR, "yellow": logging.WARNING}

log = logging.getLogger(__name__)


def json_option(printed: str) -> Callable[[Any], Any]:
    """Make the option `--json`, passed to the command as `as_json`.

    Args:
        printed: what the option prints, for its help.
    """
    return click.option("--json", "as_json", is_flag=True, help=f"Print {printed} on standard output.")


def print_line(*parts: str | tuple[str, str]) -> None:
    """Print one line on standard error, made of texts and (text, style). Markup in the texts is not interpreted.

    If the settings ask for JSON logs, the line is logged instead, and the styles red and yellow set its level.
    """
    line = Text.assemble(*((redact_text(p[0]), p[1]) if isinstance(p, tuple) else redact_text(p) for p in parts))
    if logging.getLogger("podcast_assets").handlers:
        styles = {part[1] for part in parts if isinstance(part, tuple)}
        log.log(max((_LEVELS.get(style, logging.INFO) for style in styles), default=logging.INFO), line.plain)
    else:
        messages.print(line, soft_wrap=True)


def print_json(value: Any, *, default: Callable[[Any], Any] | None = None, redact: bool = True) -> None:
    """Print a value as one line of JSON on standard output.

    Args:
        value: the value.
        redact: whether URLs are shown without logins and queries; False for published data, which are printed as they are.
        default: converts values that JSON has no form for.
    """
    click.echo(printable_json(json.dumps(redact_json(value) if redact else value, ensure_ascii=False, default=default)))


def print_refused(incoming: "Incoming") -> None:
    """Print the names under incoming/ that are part of no batch, each with the reason."""
    for name, reason in incoming.refused.items():
        print_line((f"incoming/{name}: {reason}", "yellow"))


def print_warnings(prefix: str, warnings: "Sequence[BatchWarning]") -> None:
    """Print the summary of what deserves a look.

    Args:
        prefix: words before its first line, such as the name of the batch.
        warnings: the warnings; without any, nothing is printed.
    """
    from podcast_assets.stages.batch_warnings import summary_lines

    for number, line in enumerate(summary_lines(warnings)):
        print_line((line, "yellow") if number else (f"{prefix}{line}", "yellow"))


def make_table(*columns: str, numbers: Container[str] = (), no_wrap: Container[str] = ()) -> Table:
    """Make a compact table.

    Args:
        columns: headings.
        numbers: columns aligned to the right.
        no_wrap: columns whose cells stay on one line, so that the others shrink in a narrow terminal.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        justify = "right" if name in numbers else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name in no_wrap)
    return table


def load_settings(**overrides: Any) -> "Settings":
    """Load the settings from the environment and set up logging as they say.

    Args:
        overrides: settings given on the command line; None leaves a setting to the environment.
    """
    from podcast_assets.config.settings import Settings

    settings = Settings(**{k: v for k, v in overrides.items() if v is not None})
    level = level_number(settings.log_level)
    if settings.log_format == "json":
        from podcast_assets.common.log_lines import configure_json_logging

        configure_json_logging(level)
    elif logging.lastResort is not None:  # writes what the package logs outside of runs
        logging.lastResort.setFormatter(PrintableFormatter())
        if level != logging.INFO:  # by default, commands say what they do by themselves, and logs add warnings
            logging.lastResort.setLevel(level)
            logging.getLogger("podcast_assets").setLevel(level)
    return settings


def open_store(settings: "Settings") -> "Store":
    """Open the store of the settings."""
    from podcast_assets.store.store import Store

    return Store.at(settings.store, follow_links=settings.allow_links, access=settings.store_access)
