"""What strangers call their files and episodes reaches terminals and logs as text: it moves no cursor and begins no line."""

import io
import json
import logging
import sys

import dagster as dg
import pytest
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.terminal import SafeConsole, print_json
from podcast_assets.common.log_lines import PlainFormatter, json_formatter
from podcast_assets.common.printable import printable
from podcast_assets.common.printable_logs import PrintableFormatter
from podcast_assets.config.settings import Settings
from podcast_assets.defs.loggers import console_logger

pytestmark = pytest.mark.hostile
HOSTILE = (
    "\x1b[2J\x1b]0;title\x07",  # clears the screen, sets the title
    "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x9b2J",  # the CSI of one byte
    "a\r\x08b\x0bc\x0cd\x00e\x7ff\x85g",
    "a\nerror: forged",
    "a\u2028error: forged\u2029b",
    "\u202egpj.exe\u2066x\u2069\u200f\u061c",  # other order
    "a\u200bb\ufeffc\u2060d\U000e0041e",  # invisible
    "\udcff.mp3",  # not UTF-8
)
HARMLESS = ("Müller, 東京 🎙️.mp3", "\u0645\u06cc\u200c\u062e", "👩\u200d👧", "C:\\talk\\u0041", "٣\u0600")


def is_harmless(written: str) -> bool:
    written.encode()
    return written.isprintable() and "\u202e" not in written


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_of_any_script_is_unchanged(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_gets_escapes(text: str) -> None:
    written = io.StringIO()
    console = SafeConsole(file=written, force_terminal=True, color_system=None, width=300, emoji=False)
    table = Table(box=None, show_header=False)
    table.add_row(Text(text, "bold"), text)
    console.print(Text.assemble("one line: ", (text, "red")), soft_wrap=True)
    console.print(text, soft_wrap=True, markup=False)
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    console.print(table)
    console.rule(Text(text.replace("\n", " ")))
    console.print(Markdown(text))
    assert all(map(is_harmless, written.getvalue().split("\n"))), written.getvalue()


def test_styles_of_escaped_text_are_kept() -> None:
    written = io.StringIO()
    SafeConsole(file=written, force_terminal=True, color_system="standard", width=300).print(
        Text.assemble(("a\x1bb", "red"), "c")
    )
    assert written.getvalue() == "\x1b[31ma\x1b[0m\x1b[31m\\x1b\x1b[0m\x1b[31mb\x1b[0mc\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_json_keeps_the_value_and_is_one_harmless_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"title": text, text: "ü"})
    written = capsys.readouterr().out
    assert is_harmless(written.removesuffix("\n"))
    assert "ü" in written
    assert json.loads(written) == {"title": text, text: "ü"}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_log_record_is_one_harmless_line(text: str) -> None:
    record = logging.makeLogRecord({"msg": "skipped: %s", "args": (text,), "levelno": logging.WARNING})
    for formatter in (PlainFormatter(), PrintableFormatter(), json_formatter()):
        assert is_harmless(formatter.format(record))
    assert json.loads(json_formatter().format(record))["message"] == f"skipped: {text}"


def test_lines_of_a_traceback_do_not_look_like_records() -> None:
    try:
        raise ValueError("a\x1b[2J\nerror: forged")
    except ValueError:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": sys.exc_info()})
    first, *rest = PrintableFormatter().format(record).split("\n")
    assert first == "failed"
    assert rest
    assert all(line.startswith("    ") and is_harmless(line) for line in rest)


def test_runs_of_the_daemon_log_escapes_and_keep_dagster_s_colours(capsys: pytest.CaptureFixture[str]) -> None:
    logger = console_logger(Settings()).logger_fn(
        dg.build_init_logger_context({"log_level": "INFO", "name": "dagster"})
    )
    logger.warning("incoming/%s: skipped", "a\x1b[2J\nforged")
    written = capsys.readouterr()
    assert "incoming/a\\x1b[2J\\nforged: skipped" in written.out + written.err
