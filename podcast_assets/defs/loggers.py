"""Loggers of Dagster runs: plain lines for a terminal, or one JSON object per line for programs."""

import logging
import shutil
import sys

import dagster as dg

from podcast_assets.common.log_lines import PlainFormatter, json_formatter, stderr_handler
from podcast_assets.common.printable_logs import PrintableFormatter, dagster_meta, level_number
from podcast_assets.config.settings import Settings


def terminal_logger(settings: Settings) -> dg.LoggerDefinition:
    """Define the logger of runs in a terminal: records of the assets; Dagster's own events only at the level `debug`."""
    level = level_number(settings.log_level)

    @dg.logger
    def terminal(_context: dg.InitLoggerContext) -> logging.Logger:
        detailed = level <= logging.DEBUG
        handler = stderr_handler(
            json_formatter() if settings.log_format == "json" else PlainFormatter(detailed=detailed)
        )
        if not detailed:
            handler.addFilter(lambda record: dagster_meta(record).get("dagster_event") is None)
        return _logger("podcast_assets.terminal", handler, level)

    return terminal


def status_line_logger(settings: Settings) -> dg.LoggerDefinition:
    """Define the logger of the demonstration: as `terminal`, but a terminal shows only the last record, on one line."""

    @dg.logger
    def status_line(context: dg.InitLoggerContext) -> logging.Logger:
        if settings.log_format == "json" or settings.log_level == "debug" or not sys.stderr.isatty():
            return terminal_logger(settings).logger_fn(context)
        handler = StatusLineHandler()
        handler.setFormatter(PlainFormatter())
        handler.addFilter(lambda record: dagster_meta(record).get("dagster_event") is None)
        return _logger("podcast_assets.terminal", handler, level_number(settings.log_level))

    return status_line


class StatusLineHandler(logging.Handler):
    """Overwrites one line of the terminal with each record; errors keep theirs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Implement `logging.Handler.emit`."""
        clear_status_line()
        text = self.format(record)
        if record.levelno >= logging.ERROR:
            sys.stderr.write(text + "\n")
        else:
            sys.stderr.write(text.splitlines()[0][: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()


def clear_status_line() -> None:
    """Erase the line that the cursor is on, if standard error is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()


def console_logger(settings: Settings) -> dg.LoggerDefinition:
    """Define the logger of runs that Dagster's daemon starts: Dagster's own, or JSON lines that include Dagster's events."""

    def console(context: dg.InitLoggerContext) -> logging.Logger:
        if settings.log_format == "text":
            logger = dg.colored_console_logger.logger_fn(context)
            if settings.log_level != "info":  # otherwise the level of the run's configuration
                logger.setLevel(level_number(settings.log_level))
            for handler in logger.handlers:
                handler.setFormatter(PrintableFormatter(handler.formatter))
            return logger
        return _logger("podcast_assets.console", stderr_handler(json_formatter()), level_number(settings.log_level))

    return dg.LoggerDefinition(console, dg.colored_console_logger.config_schema)


def _logger(name: str, handler: logging.Handler, level: int) -> logging.Logger:
    logger = logging.Logger(name, level=level)  # noqa: LOG001 - one per run, not shared
    logger.addHandler(handler)
    return logger
