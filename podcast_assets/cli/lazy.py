"""A click group that imports the module of a command only when the command is called."""

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyCommand(click.Command):
    """Placeholder for a command in help, completion and suggestions until it is called."""

    def __init__(self, name: str, location: str, help: str) -> None:  # noqa: A002 - click's own word
        super().__init__(name, help=help)
        self.location = location
        """`package.module:attribute`."""

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.location.partition(":")
        return getattr(importlib.import_module(module), attribute)


class LazyGroup(click.Group):
    """A click group whose commands are imported when they are called."""

    def add_lazy_commands(self, commands: Mapping[str, tuple[str, str]]) -> None:
        """Add commands by their location.

        Args:
            commands: name → (`package.module:attribute`, first paragraph of the command's help).
        """
        for name, (location, text) in commands.items():
            self.add_command(LazyCommand(name, location, text))

    def load_commands(self) -> None:
        """Import all commands, for code that reads their options, such as the reference page."""
        for name in list(self.commands):
            self._load_command(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import the command that is called."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, self._load_command(name) if name in self.commands else command, rest

    def _load_command(self, name: Any) -> click.Command:
        command = self.commands[name]
        if isinstance(command, LazyCommand):
            command = self.commands[name] = command.load()
        return command
