r"""Redaction: what people, logs and tables get to see has no logins, no queries of URLs, and no values of secret variables.

`redact_url` is for a value that is a URL, `redact_text` for a message that may contain some: of a library, a server or a person.
"""

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

LONGEST_URL = 8_192
"""Characters; servers accept no more."""
UNREADABLE = "an unreadable URL"
HIDDEN = "…"

_OPAQUE = frozenset({"mailto", "acct", "tel"})
"""Schemes whose `@` does not follow a login."""


def redact_url(url: str) -> str:
    """Redact a URL for people and tables to scheme, host, port and path, without user, password, query and fragment.

    >>> redact_url("https://user:password@Example.org/a.mp3?token=1#t=2")
    'https://example.org/a.mp3'
    """
    from urllib3.exceptions import LocationParseError  # slow to import, and many commands print no URL
    from urllib3.util import parse_url

    text = url.strip()
    if len(text) > LONGEST_URL:
        return UNREADABLE
    try:
        parts = parse_url(text)
    except (LocationParseError, UnicodeError, ValueError):
        return UNREADABLE
    path = parts.path or ""
    if not parts.host and "@" in path and parts.scheme not in _OPAQUE:
        return path.rpartition("@")[2]  # user:password@host, where the user looks like a scheme
    scheme = f"{parts.scheme}:" if parts.scheme else ""
    host = f"//{parts.netloc}" if parts.host else ""
    return _redact_urls(f"{scheme}{host}{path}")  # paths of tracking prefixes contain another URL


def redact_text(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Redact a message: URLs in it lose their logins, queries and fragments, and secrets of the environment become `…`.

    The mark of a URL that `redact_url_distinctly` adds is kept, so that redacting twice changes nothing.

    Args:
        text: any text.
        environment: variables whose secret values are known, see `secret_values`.

    >>> redact_text("PUT https://me:secret@host:80/a?key=1 failed; see (http://host/x?y).", {})
    'PUT https://host:80/a failed; see (http://host/x).'
    """
    return _redact_urls(_hide_values(text, secret_values(environment)))


def redact_cell(text: str) -> str:
    """Redact the URLs in a value for people. Faster than `redact_text`, which also looks for secrets outside of URLs."""
    return _redact_urls(text)


def redact_json(value: Any) -> Any:
    """Redact all strings in a value of dictionaries and lists as `redact_text` does; the keys of dictionaries are kept."""
    return _redact_json(value, secret_values(os.environ))


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Collect the values that no message may show, the longest first.

    They are those of variables that are named as secrets; login and query of variables that hold a URL; and the path of a webhook.
    Values of fewer than `SHORTEST` characters are left out, because they are parts of ordinary words.
    """
    return _secret_values(tuple((k, v) for k, v in environment.items() if _SECRET_NAME.search(k) or _has_secret(v)))


SHORTEST = 8
"""Fewest characters of a secret that is recognized outside of URLs."""
_SECRET_NAME = re.compile(
    r"(?:TOKEN|SECRETS?|PASSWORD|PASSWD|PASSPHRASE|API_?KEY|(?:ACCESS|SECRET|PRIVATE)_KEY|ACCESS_KEY_ID|COOKIES?|WEBHOOK\w*)$",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"[A-Za-z][\w+.\-]*:/+(?P<login>[^\s/?#]+|[^\s/?#:@]*:(?!\d*(?:[/?#]|$))[^\s]+)@"
    r"|(?!mailto:)(?P<bare>[^\s/?#:@]*:[^\s/]+)@"  # a proxy without its scheme
)
_QUERY_VALUE = re.compile(r"[?&;][^=&;\s]+=(?P<value>[^&;#\s]+)")
_PATH = re.compile(r"[A-Za-z][\w+.\-]*://[^/\s?#]*(?P<path>/[^\s?#]*)")


def _has_secret(value: str) -> bool:
    return ("@" in value and _LOGIN.match(value) is not None) or ("://" in value and "=" in value)


@lru_cache(maxsize=64)
def _secret_values(variables: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    found: set[str] = set()
    for name, value in variables:
        if login := _LOGIN.match(value):
            text = login["login"] or login["bare"]
            found |= {text, text.partition(":")[2]}
        if "://" in value:
            found |= {m["value"] for m in _QUERY_VALUE.finditer(value)}
            if _SECRET_NAME.search(name) and (path := _PATH.match(value)):
                found.add(path["path"])
        elif _SECRET_NAME.search(name):
            found |= {value, value.strip()}
    found |= {unquote(value) for value in found}
    return tuple(sorted((v for v in found if len(v) >= SHORTEST), key=lambda v: (-len(v), v)))


def _redact_json(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _redact_urls(_hide_values(value, secrets))
    if isinstance(value, Mapping):
        return {key: _redact_json(item, secrets) for key, item in value.items()}
    return [_redact_json(item, secrets) for item in value] if isinstance(value, (list, tuple)) else value


def _hide_values(text: str, values: tuple[str, ...]) -> str:
    for value in values:
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


_OUTSIDE = r'\s<>"'
"""Characters that end a URL in a text."""
_AUTHORITY = re.compile(
    rf"(?:(?<=:)|(?=//[^{_OUTSIDE}/@:]*:[^{_OUTSIDE}/@]*@))//"
    # a password with / ? or # in it: what follows the colon is no port
    rf"(?:[^{_OUTSIDE}/?#\\:@\[\]]*:(?!\d*(?:[/?#\\{_OUTSIDE}]|$))[^{_OUTSIDE}]{{0,300}}@"
    rf"|(?P<authority>[^{_OUTSIDE}/?#\\]*))"
)
"""After a scheme, or without one where there is a login."""
_SECRET_PART = re.compile(rf"((?<=:)//[^{_OUTSIDE}?#]*)([?#][^{_OUTSIDE}]*)?")
"""A URL without its scheme, and its query with the fragment."""
_REQUEST = re.compile(r"\b((?:[Uu]rl:|GET|HEAD|POST|PUT|PATCH|DELETE) /[^\s?\"]*)\?[^\s\"]*")
"""Paths that clients of HTTP name without their host: `Max retries exceeded with url: /path?query`."""
_CREDENTIAL = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=\-]{12,}|\bhf_[A-Za-z0-9]{16,}")
"""Values of the header Authorization, and tokens of the Hub, which may come from a file."""
_PUNCTUATION = ")]}'`,.;:!…\\"
_MARK = re.compile(r"#[0-9a-f]{8}(?![\w%=&?-])")
"""What `redact_url_distinctly` adds."""


def _redact_urls(text: str) -> str:
    if "//" in text:
        text = _AUTHORITY.sub(lambda match: f"//{(match['authority'] or '').rpartition('@')[2]}", text)
        text = _SECRET_PART.sub(lambda match: f"{match[1]}{_visible_part(match[2] or '')}", text)
    if "?" in text:
        text = _REQUEST.sub(r"\1", text)
    return _CREDENTIAL.sub(lambda match: f"{match[1]} {HIDDEN}" if match[1] else HIDDEN, text)


def _visible_part(query: str) -> str:
    """What stays of a query or fragment: the mark of a redacted URL, and the punctuation of the sentence after it."""
    if _MARK.match(query):
        return query
    return query[len(query.rstrip(_PUNCTUATION)) :]
