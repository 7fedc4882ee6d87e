"""Filter for network addresses: untrusted links may lead to public addresses only.

A host name is resolved once and the connection goes to one of the addresses that were checked, so that a name that resolves to
another address a moment later (DNS rebinding) gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence

from podcast_assets.common.errors import BadInput

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""Host and port → numeric addresses, in order of preference.

Raises:
    socket.gaierror: the name is unknown, or no name server answers.
"""

_CLOUD = {ipaddress.ip_address("168.63.129.16"): "the machine's own cloud (Azure's wire server)"}
"""Addresses of cloud metadata services outside all private ranges; all others are link-local or private."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""
_RESERVED = [ipaddress.ip_network(n) for n in ("192.0.0.0/24", "64:ff9b:1::/48", "::/96", "fec0::/10")]
"""IETF protocol assignments (RFC 6890; a cloud's metadata among them), local NAT64 (RFC 8215), IPv4-compatible and site-local
addresses, which `ipaddress` of older Pythons treats as global."""


class ForbiddenAddress(BadInput):
    """A link leads to an address that is not public."""


def resolve(host: str, port: int) -> list[str]:
    """Resolve a host name with the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def why_forbidden(address: str) -> str | None:
    """Reason why a numeric address must not be connected to; None if it is public."""
    ip = ipaddress.ip_address(address)
    for inner in (ip, *_embedded_addresses(ip)):
        if why := _why_forbidden(inner):
            return why if inner == ip else f"{why}, inside {ip}"
    return None


def _why_forbidden(ip: IPAddress) -> str | None:
    if ip in _CLOUD:
        return f"{ip} is {_CLOUD[ip]}"
    if ip.is_loopback:
        return f"{ip} is this machine itself"
    if ip.is_link_local:
        return f"{ip} is link-local, where clouds keep a machine's credentials"
    if ip.is_multicast:
        return f"{ip} is multicast"
    if not ip.is_global or any(ip in network for network in _RESERVED):
        return f"{ip} is private or reserved"
    return None


def _embedded_addresses(ip: IPAddress) -> Iterator[IPAddress]:
    """IPv4 addresses embedded in an IPv6 address, to which a tunnel or translator would forward."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            yield ip.ipv4_mapped
        if ip.sixtofour:
            yield ip.sixtofour
        if ip.teredo:
            yield from ip.teredo
        if ip in _NAT64:
            yield ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)


def public_addresses(host: str, port: int, resolver: Resolve = resolve) -> list[str]:
    """Public addresses of a host.

    Raises:
        ForbiddenAddress: none of its addresses is public.
        socket.gaierror: the host cannot be resolved.
    """
    found = resolver(host, port)
    reasons = {address: why_forbidden(address) for address in found}
    public = [address for address, reason in reasons.items() if reason is None]
    if not public:
        why = "; ".join(str(reason) for reason in reasons.values()) or "it has no address"
        raise ForbiddenAddress(
            f"{host} is not on the public network ({why}), so nothing is downloaded from it. "
            "To allow it, add it to PODCAST_ALLOW_HOSTS."
        )
    return public
