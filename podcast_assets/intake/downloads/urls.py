"""Parsing and hashing of URLs of audio and feeds, whose logins and queries are secrets: `redact_url` is how they are shown."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import unquote, urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import Url
from urllib3.util import parse_url as split_url

from podcast_assets.common.errors import BadInput
from podcast_assets.common.redaction import LONGEST_URL, UNREADABLE, redact_url

PORTS = {"http": 80, "https": 443}
BUCKET_SCHEMES = frozenset({"s3", "gs", "az"})
"""Schemes of objects in buckets: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""
SCHEMES = PORTS.keys() | BUCKET_SCHEMES | {"sftp"}
"""Schemes of URLs of episodes."""
FEED_SCHEMES = frozenset({"feed", "pcast", "itpc", "itms-pcast", "itms-pcasts", "podcast", "rss"})
"""Schemes that open a podcast player, in place of http or before it."""


class BadUrl(BadInput):
    """The URL cannot be downloaded."""


@dataclass(frozen=True)
class ParsedUrl:
    """A URL parsed for a request."""

    url: str
    """Without user and password."""
    scheme: str
    host: str
    port: int
    path: str
    """With the query."""
    login: str | None
    """`user:password`."""

    def __repr__(self) -> str:
        """Redacted form of the URL."""
        return redact_url(self.url)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Origin of the URL: scheme, host and port."""
        return self.scheme, self.host, self.port


def parse_url(url: str) -> ParsedUrl:
    """Parse a URL for a request.

    Raises:
        BadUrl: the scheme is neither http nor https, or the URL is malformed.
    """
    parts = _split_url(url)
    if parts.scheme not in PORTS or not parts.host:
        raise BadUrl(f"{redact_url(url)}: neither http nor https, so it cannot be downloaded")
    return ParsedUrl(
        url=parts._replace(auth=None, fragment=None).url,
        scheme=parts.scheme,
        host=parts.host.strip("[]").lower(),
        port=parts.port or PORTS[parts.scheme],
        path=parts.request_uri,
        login=unquote(parts.auth) if parts.auth else None,
    )


@dataclass(frozen=True)
class ObjectUrl:
    """An object in a bucket."""

    scheme: str
    bucket: str
    """Name of the bucket; of Azure, of the container."""
    key: str

    @property
    def place(self) -> str:
        """The bucket, as PODCAST_ALLOW_HOSTS lists it."""
        return f"{self.scheme}://{self.bucket}"


def parse_sftp_url(url: str) -> ParsedUrl:
    """Parse `sftp://USER@HOST/PATH`; `/~/PATH` is below the user's folder.

    Raises:
        BadUrl: it is malformed.
    """
    parts = _split_url(url)
    if parts.scheme != "sftp" or not parts.host or not (parts.path or "").strip("/"):
        raise BadUrl(f"{redact_url(url)}: a file is sftp://USER@HOST/PATH")
    return ParsedUrl(
        url=parts._replace(auth=None, fragment=None).url,
        scheme=parts.scheme,
        host=parts.host.strip("[]").lower(),
        port=parts.port or 22,
        path=parts.request_uri,
        login=unquote(parts.auth) if parts.auth else None,
    )


def url_scheme(url: str) -> str:
    """Scheme of a URL in lower case; empty if it has none."""
    return url.partition("://")[0].strip().lower() if "://" in url else ""


def parse_object_url(url: str) -> ObjectUrl:
    """Parse `s3://BUCKET/KEY`, `gs://BUCKET/KEY` or `az://CONTAINER/KEY`. Keys are taken as they are written.

    Raises:
        BadUrl: bucket or key is missing, or it holds a login.
    """
    scheme, rest = url_scheme(url), url.strip().partition("://")[2]
    bucket, _, key = rest.partition("/")
    if (
        len(url) > LONGEST_URL
        or scheme not in BUCKET_SCHEMES
        or not re.fullmatch(r"[\w.-]+", bucket)
        or not key.strip("/")
    ):
        raise BadUrl(
            f"{redact_url(url)}: an object is {scheme or 's3'}://BUCKET/KEY, and credentials are set as variables"
        )
    return ObjectUrl(scheme, bucket.lower(), key)


def feed_url(text: str) -> str:
    """The http(s) URL of a feed that may be written for a player: `feed://host/…`, `feed:https://host/…`.

    Other texts stay as they are, without spaces around them.
    """
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    if not colon or scheme.lower() not in FEED_SCHEMES:
        return text
    inner = rest.removeprefix("//")
    if inner.lower().startswith(("http://", "https://")):
        return inner
    # some players lose the colon of the inner scheme
    if found := re.match(r"(https?)(?::/|//|/)(?=[^/])", inner, re.IGNORECASE):
        return f"{found[1].lower()}://{inner[found.end() :]}"
    return f"{'https' if scheme.lower() == 'itms-pcasts' else 'http'}://{inner.lstrip('/')}"


def resolve_redirect(base: str, location: str) -> str:
    """Resolve a redirect or a relative link.

    Raises:
        BadUrl: the target is malformed.
    """
    try:
        return urljoin(base, location.strip())
    except ValueError:
        raise BadUrl(f"{redact_url(base)} redirects to a malformed URL") from None


def redact_url_distinctly(url: str) -> str:
    """As `redact_url`, with the start of a hash where something is left out, so that different URLs stay different."""
    parts = url.strip()
    name = redact_url(parts)
    hidden = any(mark in parts for mark in "?#@") or name == UNREADABLE
    return f"{name}#{url_key(parts)[:8]}" if hidden else name


def url_key(url: str) -> str:
    """SHA-256 of a URL without its fragment, 64 hexadecimal digits: identifies it without revealing its secrets."""
    return hashlib.sha256(url.strip().partition("#")[0].encode("utf-8", "surrogatepass")).hexdigest()


def _split_url(url: str) -> Url:
    text = url.strip()
    if len(text) > LONGEST_URL:
        raise BadUrl(f"a URL of {len(text):,} characters")
    try:
        return split_url(text)
    except (LocationParseError, UnicodeError, ValueError):
        raise BadUrl("a URL that cannot be read") from None  # the original message quotes the whole URL
