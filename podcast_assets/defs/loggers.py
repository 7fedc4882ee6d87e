"""The loggers of Dagster's runs: our own lines for people in a terminal, or one JSON object per line for programs."""

import logging

import dagster as dg

from podcast_assets.common.log_lines import PlainLines, dagster_meta, json_lines, stderr_handler
from podcast_assets.config.settings import Settings


def terminal_logger(settings: Settings) -> dg.LoggerDefinition:
    """A logger for standard error that prints what the assets log from INFO on, and nothing of Dagster's own events."""

    @dg.logger
    def terminal(_context: dg.InitLoggerContext) -> logging.Logger:
        handler = stderr_handler(json_lines() if settings.log_format == "json" else PlainLines())
        handler.addFilter(lambda record: dagster_meta(record).get("dagster_event") is None)
        return _logger("podcast_assets.terminal", handler)

    return terminal


def console_logger(settings: Settings) -> dg.LoggerDefinition:
    """The logger of runs that Dagster's daemon starts: its own for people, or JSON with Dagster's events among it."""
    if settings.log_format == "text":
        return dg.colored_console_logger

    @dg.logger
    def console(_context: dg.InitLoggerContext) -> logging.Logger:
        return _logger("podcast_assets.console", stderr_handler(json_lines()))

    return console


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger(name, level=logging.INFO)  # noqa: LOG001 - one per run, not shared
    logger.addHandler(handler)
    return logger
