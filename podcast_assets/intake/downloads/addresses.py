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


def _networks(text: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(network) for network in text.split()]


_CLOUD = {ipaddress.ip_address("168.63.129.16"): "the machine's own cloud (Azure's wire server)"}
"""Addresses of cloud metadata services outside all private ranges; all others are link-local or private."""

_NOT_PUBLIC_4 = _networks(
    """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24
    192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
    224.0.0.0/4 240.0.0.0/4
    """
)
"""The IANA IPv4 Special-Purpose Address Registry as of October 2025, with multicast. Blocks that are globally reachable are among
them: anycast relays and sinks of DNS, of which some answer from the local network, and none publishes media.
https://www.iana.org/assignments/iana-ipv4-special-registry"""

_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
"""All of the IPv6 address space that is global unicast; the rest is local, multicast, translated or reserved.
https://www.iana.org/assignments/ipv6-address-space"""
_NOT_PUBLIC_6 = _networks("2001::/23 2001:db8::/32 2620:4f:8000::/48 2d00::/8 2e00::/7 3000::/4")
"""Blocks in it of the IANA IPv6 Special-Purpose Address Registry, and those reserved in IPv6 Global Unicast Address Assignments,
as of October 2025: protocol assignments, Teredo and ORCHID among them, documentation (3fff::/20 too), and sinks of DNS.
https://www.iana.org/assignments/iana-ipv6-special-registry
https://www.iana.org/assignments/ipv6-unicast-address-assignments"""

_IN_LAST_BITS = {
    "mapped": ipaddress.IPv6Network("::ffff:0:0/96"),  # RFC 4291
    "compatible": ipaddress.IPv6Network("::/96"),  # RFC 4291, deprecated
    "translated": ipaddress.IPv6Network("::ffff:0:0:0/96"),  # RFC 2765 (SIIT)
    "NAT64": ipaddress.IPv6Network("64:ff9b::/96"),  # RFC 6052
    "local NAT64": ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215
}
"""Prefixes whose last 32 bits are an IPv4 address."""
_REACHES_INNER = (_IN_LAST_BITS["mapped"], _IN_LAST_BITS["NAT64"])
"""Those that are as public as the address inside; the others are local."""
_ISATAP = (0x00005EFE, 0x02005EFE)
"""RFC 5214: bits 64 to 95 of an address whose last 32 bits are an IPv4 address."""
_METADATA = frozenset(
    map(ipaddress.IPv4Address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192"))
)
"""Metadata services of clouds. They are looked for in every place of RFC 6052, because a network can have a prefix of its own for
NAT64, which the address does not show."""


class ForbiddenAddress(BadInput):
    """A link leads to an address that is not public."""


def resolve(host: str, port: int) -> list[str]:
    """Resolve a host name with the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def why_forbidden(address: str) -> str | None:
    """Reason why a numeric address must not be connected to; None if it is public."""
    ip = ipaddress.ip_address(address)
    for inner in _embedded_addresses(ip):
        if why := _why_forbidden(inner):
            return f"{why}, inside {ip}"
    if any(ip in network for network in _REACHES_INNER):
        return None
    return _why_forbidden(ip)


def _why_forbidden(ip: IPAddress) -> str | None:
    if ip in _CLOUD:
        return f"{ip} is {_CLOUD[ip]}"
    if ip.is_loopback:
        return f"{ip} is this machine itself"
    if ip.is_link_local:
        return f"{ip} is link-local, where clouds keep a machine's credentials"
    if ip.is_multicast:
        return f"{ip} is multicast"
    reserved = _NOT_PUBLIC_4 if ip.version == 4 else _NOT_PUBLIC_6
    if any(ip in network for network in reserved) or (ip.version == 6 and ip not in _UNICAST_6):
        return f"{ip} is private or reserved"
    return None


def _embedded_addresses(ip: IPAddress) -> Iterator[ipaddress.IPv4Address]:
    """IPv4 addresses embedded in an IPv6 address, to which a tunnel or translator would forward."""
    if not isinstance(ip, ipaddress.IPv6Address):
        return
    bits = int(ip)
    last = ipaddress.IPv4Address(bits & 0xFFFFFFFF)
    if bits > 1 and any(ip in network for network in _IN_LAST_BITS.values()):
        yield last
    if bits >> 32 & 0xFFFFFFFF in _ISATAP:
        yield last
    if ip.sixtofour:
        yield ip.sixtofour
    if ip.teredo:
        yield from ip.teredo
    yield from _METADATA.intersection(_rfc6052_addresses(bits))


def _rfc6052_addresses(bits: int) -> Iterator[ipaddress.IPv4Address]:
    """IPv4 addresses in the places of RFC 6052, section 2.2, for prefixes of 32 to 96 bits: they leave out bits 64 to 71."""
    packed = bits.to_bytes(16, "big")
    without = packed[:8] + packed[9:]
    for start in (4, 5, 6, 7, 8):
        yield ipaddress.IPv4Address(without[start : start + 4])
    yield ipaddress.IPv4Address(packed[12:])


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
