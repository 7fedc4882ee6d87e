"""Reasons of failures, without what differs from one episode to the next, so that equal failures are counted together."""

import functools
import re

from podcast_assets.common.redaction import redact_text

LONGEST_REASON = 100
"""Characters."""

_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_PATH = re.compile(r"(?<![\w<])/\S+")
_NUMBER = re.compile(r"\d[\d,.]*")


def failure_reason(error_type: str | None, message: str | None, source: str) -> str:
    """Return the class of an error and its message, with placeholders for the file, URLs, quoted names, paths and numbers.

    >>> failure_reason("BadInput", "a.mp3: cut off at byte 1,048,576", "a.mp3")
    'BadInput: FILE: cut off at byte N'
    """
    text = " ".join((message or "").split())
    if source:
        text = text.replace(source, "FILE")
    for pattern, placeholder in ((_URL, "URL"), (_QUOTED, "'…'"), (_PATH, "PATH"), (_NUMBER, "N")):
        text = pattern.sub(placeholder, text)
    reason = ": ".join(filter(None, (error_type, _redact(text))))
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"


@functools.lru_cache(maxsize=1024)
def _redact(text: str) -> str:
    """Redact once what many failures have in common: the secrets in the environment are looked for each time."""
    return redact_text(text)
