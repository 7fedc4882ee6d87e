"""URLs and secrets in what people, logs and tables get to see."""

import logging
import subprocess
import sys

import pytest

from podcast_assets.common.errors import first_line
from podcast_assets.common.printable_logs import PrintableFormatter
from podcast_assets.common.redaction import redact_json, redact_text, redact_url, secret_values
from podcast_assets.intake.downloads.urls import redact_url_distinctly

PASSWORD = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"https://me:{PASSWORD}@Example.org:8443/a.mp3?token=1#t=2", "https://example.org:8443/a.mp3"),
        (f"https://{PASSWORD}@example.org/a", "https://example.org/a"),
        (f"me:{PASSWORD}@example.org/a", "example.org/a"),
        (f"https:/me:{PASSWORD}@example.org/a", "example.org/a"),
        (f"//me:{PASSWORD}@example.org/a", "//example.org/a"),
        (
            f"postgresql+psycopg2://me:{PASSWORD}@db:5432/name?sslpassword={PASSWORD}",
            "postgresql+psycopg2://db:5432/name",
        ),
        (
            f"https://tracker.example/https://me:{PASSWORD}@example.org/a",
            "https://tracker.example/https://example.org/a",
        ),
        (f"https://me:pass/{PASSWORD}@example.org/a", "an unreadable URL"),
        (f"https://me:{PASSWORD}@[::1/a", "an unreadable URL"),
        ("https://mastodon.example/@me/1", "https://mastodon.example/@me/1"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"ProxyError('http://me:{PASSWORD}@proxy:3128'): refused", "ProxyError('http://proxy:3128'): refused"),
        (f"see (https://h/x?sig={PASSWORD}), then", "see (https://h/x), then"),
        (
            f"Max retries exceeded with url: /a?token={PASSWORD} (Caused by X)",
            "Max retries exceeded with url: /a (Caused by X)",
        ),
        (f'{{"url": "https://h/x?token={PASSWORD}", "n": 1}}', '{"url": "https://h/x", "n": 1}'),
        (f"https://h/x#access_token={PASSWORD}", "https://h/x"),
        (f"at http://me:pa/ss?{PASSWORD}@host/p failed", "at http://host/p failed"),
        (f"http://a/1?b={PASSWORD} http://c:{PASSWORD}@d/2", "http://a/1 http://d/2"),
        (f"//me:{PASSWORD}@host/share", "//host/share"),
        (f"'Authorization': 'Bearer {PASSWORD}'", "'Authorization': 'Bearer …'"),
        ("token hf_abcdefghijklmnopqrst is invalid", "token … is invalid"),
    ],
)
def test_a_message_is_shown_without_the_secrets_in_it(text: str, shown: str) -> None:
    assert redact_text(text, {}) == shown
    assert redact_text(shown, {}) == shown, "redacted by several layers"


@pytest.mark.parametrize(
    "text",
    [
        "12:30@Berlin, 3//2, mail me@example.org",
        "https://youtube.example/@me/videos",
        "/tmp//a@b/c: no such file",
        "see docs/operations/store.md#backups and https://h:8080/a/b.",
        "What? Why? GET out",
        redact_url_distinctly(f"https://me:{PASSWORD}@h/a.mp3?token={PASSWORD}") + ", row 3",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert redact_text(text, {}) == text


def test_messages_of_any_size_take_no_time_to_speak_of() -> None:
    for piece in ("://", "//a:", "://a:b/", "http://a?", "url: /", "@", "Bearer ", "://x/"):
        redact_text(piece * 20_000)  # would take minutes, or end in a RecursionError, if it were not linear


def test_values_of_secret_variables_are_hidden_in_any_form() -> None:
    environment = {
        "HF_TOKEN": "tok-abcdefgh\n",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
        "ALL_PROXY": f"me:{PASSWORD}@proxy:3128",
        "HTTPS_PROXY": "http://user:p%40ssw%2Frd99@proxy",
        "SOME_URL": "https://h/x?sig=0123456789abcdef",
        "PODCAST_WEBHOOK_URL": "https://hooks.example/services/T0/B0",
        "RAY_AUTH_MODE": "token",
        "AUTHOR": "christopher@example.org",
        "REGISTRY": "https://registry.example.org/@scope",
    }
    text = (
        "tok-abcdefgh wJalrXUtnFEMI/K7MDENG hunter2-hunter2 p@ssw/rd99 p%40ssw%2Frd99 0123456789abcdef /services/T0/B0"
    )
    assert redact_text(text, environment) == " ".join("…" * 7)
    harmless = "token christopher registry.example.org hooks.example proxy"
    assert redact_text(harmless, environment) == harmless
    assert "short" not in secret_values({"A_TOKEN": "short"}), "it may be part of any word"


def test_json_is_redacted_within() -> None:
    value = {"a": [f"http://me:{PASSWORD}@h/x", 1, None], "b": {"c": (True, "text")}}
    assert redact_json(value) == {"a": ["http://h/x", 1, None], "b": {"c": [True, "text"]}}


def test_errors_and_log_records_are_redacted() -> None:
    error = OSError(f"cannot reach https://me:{PASSWORD}@h/x?y=1")
    assert first_line(error) == "cannot reach https://h/x"
    record = logging.LogRecord(
        "x", logging.ERROR, "x", 1, "asking %s", (f"http://h/?{PASSWORD}",), (OSError, error, None)
    )
    shown = PrintableFormatter(logging.Formatter("%(message)s")).format(record)
    assert "asking http://h/" in shown
    assert PASSWORD not in shown


CRASH = f"""
import logging, threading
from podcast_assets.common.redacted_output import redact_output

redact_output()
redact_output()
logging.basicConfig(format="%(name)s: %(message)s")
url = "https://me:{PASSWORD}@host/x?token={PASSWORD}"
logging.getLogger("library").warning("asking %s, try %d", url, 1)
logging.getLogger("library").warning("%s, try %d", "ordinary", 2)
def fail():
    try:
        raise OSError(url)
    except OSError as error:
        raise RuntimeError("cannot ask " + url) from error
thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
fail()
"""


def test_a_program_that_crashes_shows_no_secret() -> None:
    result = subprocess.run([sys.executable, "-c", CRASH], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "library: asking https://host/x, try 1" in result.stderr
    assert "library: ordinary, try 2" in result.stderr
    assert result.stderr.count("RuntimeError: cannot ask https://host/x") == 2
    assert "Exception in thread worker" in result.stderr
    assert PASSWORD not in result.stderr.replace(f'url = "https://me:{PASSWORD}', "")
