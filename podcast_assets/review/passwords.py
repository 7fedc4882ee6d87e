"""Passwords: argon2id with the parameters that RFC 9106 recommends where 64 MiB of memory are at hand."""

import functools
import threading
from typing import TYPE_CHECKING

from podcast_assets.common.errors import BadInput, EngineUnavailable
from podcast_assets.review.secrets import new_secret

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_LENGTH = 10
_MAX_LENGTH = 1024

# each hash takes 64 MiB and a core: a flood of logins must not take the machine
_at_once = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Hash a new password.

    Raises:
        BadInput: it is too short or too long.
        EngineUnavailable: the extra `review` is not installed.
    """
    if not MIN_LENGTH <= len(password) <= _MAX_LENGTH:
        raise BadInput(f"a password has {MIN_LENGTH} to {_MAX_LENGTH} characters")
    with _at_once:
        return _hasher().hash(password)


def verify_password(hashed: str | None, password: str) -> bool:
    """Whether a password is right. Takes as long where there is none (None): the time must not tell who has an account.

    Raises:
        EngineUnavailable: the extra `review` is not installed.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > _MAX_LENGTH:
        return False
    with _at_once:
        try:
            return _hasher().verify(hashed or _hash_of_nobody(), password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(hashed: str) -> bool:
    """Whether a hash was made with other parameters than those of today."""
    return _hasher().check_needs_rehash(hashed)


@functools.cache
def _hasher() -> "PasswordHasher":
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise EngineUnavailable("passwords need the extra review: pip install 'podcast-assets[review]'") from error
    return PasswordHasher()


@functools.cache
def _hash_of_nobody() -> str:
    return _hasher().hash(new_secret())
