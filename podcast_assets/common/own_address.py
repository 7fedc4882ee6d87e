"""The address of this machine in its network."""

import functools
import socket

_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses for documentation (RFC 5737, RFC 3849), which every default route covers and nobody has."""


@functools.cache
def own_address() -> str | None:
    """Return the address that this machine has towards others; None without a route. Nothing is sent."""
    for family, there in _ELSEWHERE:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as s:
                s.connect((there, 9))  # of a datagram socket: chooses the interface, and sends nothing
                return str(s.getsockname()[0])
        except OSError:
            continue
    return None
