"""Secrets that users and programs hold, of which the catalog knows the hash alone, and the deployment's key."""

import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings

_BYTES = 32


def new_secret(prefix: str = "") -> str:
    """Make a secret that nobody can guess, so that a plain hash of it is safe to keep."""
    return prefix + secrets.token_urlsafe(_BYTES)


def hash_secret(secret: str) -> str:
    """Return what is kept of a secret: SHA-256, in hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def derive(key: bytes, purpose: str) -> bytes:
    """Derive a secret for a purpose: HMAC-SHA256."""
    return hmac.digest(key, purpose.encode(), "sha256")


def deployment_key(settings: Settings) -> bytes:
    """Return the key of this deployment: PODCAST_REVIEW_KEY, or that of DAGSTER_HOME, which is made on first use.

    Raises:
        Misconfigured: the file cannot be read or written, or is not a key.
    """
    if settings.review_key is not None:
        return settings.review_key.get_secret_value().encode()
    path = settings.dagster_home.absolute() / "review.key"
    try:
        if not path.exists():
            _write_key(path)
        key = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be used ({type(error).__name__}): set PODCAST_REVIEW_KEY") from error
    if len(key) < _BYTES:
        raise Misconfigured(f"{path} is not a key: remove it, or set PODCAST_REVIEW_KEY")
    return key.encode()


def _write_key(path: Path) -> None:
    """Write a new key as a whole, unless another process does so first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
