"""The page docs/reference/cli.md, from the click commands."""

import re
from collections.abc import Iterator

import click

from podcast_assets.cli.main import main
from tools.docs.markdown import table

PROGRAM = "podcast-assets"
INTRODUCTION = """# Command line

Every command reads its [settings](settings.md) from the environment; an option that names a variable overrides it. Results go to
standard output, progress and messages to standard error. `podcast-assets -v COMMAND` adds debug messages and tracebacks.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it ran, and something failed: the run, a check, a verification |
| 2 | it could not run: wrong arguments or settings, a model or a store that is not available. One line says what to do |

"""


def render() -> str:
    """The whole page."""
    main.load_commands()
    context = click.Context(main, info_name=PROGRAM, **main.context_settings)
    commands = list(_commands(main, context))
    overview = table(
        ["command", "what it does"],
        (
            [f"[`{c.command_path.removeprefix(PROGRAM).strip()}`](#{_anchor(c.command_path)})", _summary(c)]
            for c in commands
        ),
    )
    return INTRODUCTION + overview + "".join(_entry(c) for c in commands)


def _commands(group: click.Group, context: click.Context) -> Iterator[click.Context]:
    """Contexts of all commands below a group, groups of commands replaced by their commands."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        below = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, below)
        else:
            yield below


def _summary(context: click.Context) -> str:
    return _paragraphs(context)[0].split(". ")[0].removesuffix(".")


def _paragraphs(context: click.Context) -> list[str]:
    """The help text. Text after a form feed is not for people; a \\b keeps the lines of its paragraph."""
    text = (context.command.help or "").split("\f")[0].strip()
    return [p if p.startswith("\b") else " ".join(p.split()) for p in re.split(r"\n\s*\n", text)]


def _entry(context: click.Context) -> str:
    usage = " ".join([context.command_path, *context.command.collect_usage_pieces(context)])
    help_text = "\n\n".join(
        f"```\n{p.removeprefix(chr(8)).strip()}\n```" if p.startswith("\b") else p.replace("<", "&lt;")
        for p in _paragraphs(context)
    )
    parts = [
        f"\n## `{context.command_path}` {{#{_anchor(context.command_path)}}}\n\n{help_text}\n\n```\n{usage}\n```\n"
    ]
    # arguments are described by the help text
    records = [p.get_help_record(context) for p in context.command.params if isinstance(p, click.Option)]
    options = [(f"`{names}`", words) for names, words in filter(None, records)]
    if options:
        parts.append("\n" + table(["option", "meaning"], options))
    return "".join(parts)


def _anchor(path: str) -> str:
    return path.removeprefix(PROGRAM).strip().replace(" ", "-")
