"""Reachability of the model hub, checked without its library, which is slow to import."""

import os
import socket
from urllib.parse import urlsplit

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")

_silenced: str | None = None


def offline_reason() -> str | None:
    """Reason why the hub must not be contacted, for people; None if it may be."""
    from huggingface_hub import constants

    return _silenced or ("HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else None)


def go_offline(why: str) -> None:
    """Switch this process to offline mode, as with HF_HUB_OFFLINE.

    Args:
        why: for people, as "the hub cannot be reached".
    """
    from huggingface_hub import constants

    global _silenced
    _silenced = why
    constants.HF_HUB_OFFLINE = True


def unreachable_reason(seconds: float) -> str | None:
    """Reason why the hub cannot be reached, for people; None if it can, or if a proxy is used.

    Args:
        seconds: the longest that it may take, without the look-up of the name.
    """
    from huggingface_hub import constants

    if any(os.environ.get(name) or os.environ.get(name.lower()) for name in _PROXIES):
        return None
    try:
        place = urlsplit(constants.ENDPOINT)
        port = place.port or (80 if place.scheme == "http" else 443)
        socket.create_connection((place.hostname or "", port), seconds).close()
    except (OSError, ValueError) as error:
        return f"{constants.ENDPOINT}: {error or type(error).__name__}"
    return None
