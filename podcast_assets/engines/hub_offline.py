"""Whether the model hub may be contacted and can be reached."""

import os
import socket
from urllib.parse import urlsplit

from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_url

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")

_offline_because: str | None = None


def offline_reason() -> str | None:
    """Explain why the hub must not be contacted; None if it may be."""
    from huggingface_hub import constants

    return _offline_because or ("HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else None)


def go_offline(reason: str) -> None:
    """Switch this process to offline mode, as HF_HUB_OFFLINE does.

    Args:
        reason: used in messages, such as "the hub cannot be reached".
    """
    from huggingface_hub import constants

    global _offline_because
    _offline_because = reason
    constants.HF_HUB_OFFLINE = True


def unreachable_reason(seconds: float) -> str | None:
    """Explain why the hub cannot be reached; None if it can, or if a proxy is used.

    Args:
        seconds: time limit, not counting the DNS lookup.
    """
    from huggingface_hub import constants

    if any(os.environ.get(name) or os.environ.get(name.lower()) for name in _PROXIES):
        return None
    try:
        url = urlsplit(constants.ENDPOINT)
        port = url.port or (80 if url.scheme == "http" else 443)
        socket.create_connection((url.hostname or "", port), seconds).close()
    except (OSError, ValueError) as error:
        return f"{redact_url(constants.ENDPOINT)}: {first_line(error)}"
    return None
