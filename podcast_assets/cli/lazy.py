"""A group of commands whose modules are imported only when one of them is called: to list them, none is."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyCommand(click.Command):
    """Placeholder of a command in help, completion and suggestions until the command is called."""

    def __init__(self, name: str, location: str, help: str) -> None:  # noqa: A002 - click's own word
        super().__init__(name, help=help)
        self.location = location
        """`package.module:attribute`."""

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.location.partition(":")
        return getattr(importlib.import_module(module), attribute)


class LazyGroup(click.Group):
    """A click group with commands in modules that are not imported before they are called."""

    def add_lazy_commands(self, commands: Mapping[str, tuple[str, str]]) -> None:
        """Add commands by where they are.

        Args:
            commands: name → (`package.module:attribute`, first paragraph of the command's help).
        """
        for name, (location, text) in commands.items():
            self.add_command(LazyCommand(name, location, text))

    def load_commands(self) -> None:
        """Import all commands, for what looks at their options: a reference of the commands, a test."""
        for name in list(self.commands):
            self._load_command(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, self._load_command(name) if name in self.commands else command, rest

    def _load_command(self, name: Any) -> click.Command:
        command = self.commands[name]
        if isinstance(command, LazyCommand):
            command = self.commands[name] = command.load()
        return command
