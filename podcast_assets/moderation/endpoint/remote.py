"""Whether texts that are sent to a URL leave this machine and its private network."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.redaction import redact_url

_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8 ::1/128 "  # this machine
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 "  # private: RFC 1918, RFC 4193
        "169.254.0.0/16 fe80::/10 "  # link-local
        "100.64.0.0/10"  # behind a carrier's NAT, also used by VPNs: RFC 6598
    ).split()
]


def resolve(host: str, port: int) -> list[str]:
    """Resolve a host name with the system's resolver.

    Raises:
        OSError: it is unknown, or no name server answers.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


def is_remote(url: str, resolver: Callable[[str, int], Sequence[str]] = resolve) -> bool:
    """Whether a URL leads outside of this machine and its private network.

    A host with one public address counts as remote, and so does one that cannot be resolved: a proxy may know it.

    Args:
        url: http:// or https:// URL.
        resolver: host name and port → addresses.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        addresses = resolver(host, parts.port or (443 if parts.scheme == "https" else 80))
    except (OSError, UnicodeError):
        return True
    return not addresses or not all(_is_private(address) for address in addresses)


def _is_private(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return any(ip in network for network in _PRIVATE if network.version == ip.version)


def check_allowed(url: str, *, what: str, allowed: bool, setting: str) -> bool:
    """Check that texts may be sent to a URL.

    Args:
        url: the endpoint.
        what: what is sent: "transcripts".
        allowed: whether the settings, or the person at the terminal, allow remote endpoints.
        setting: environment variable that allows them.

    Returns:
        Whether the URL is remote.

    Raises:
        EngineUnavailable: it is remote, and that is not allowed.
    """
    if not is_remote(url):
        return False
    if not allowed:
        raise EngineUnavailable(
            f"{describe(url, what)}. Nothing was sent: set {setting}=true if that is allowed, or use an endpoint of your own"
        )
    return True


def describe(url: str, what: str) -> str:
    """One sentence, without its full stop, that says where texts would go."""
    return f"{what} would be sent to {redact_url(url)}, which is neither on this machine nor on a private network"
