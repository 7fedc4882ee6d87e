"""The address of this machine."""

import ipaddress
import socket

import pytest

from podcast_assets.common.own_address import own_address


def test_it_is_an_address_of_this_machine_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    own_address.cache_clear()
    found = own_address()
    if found is not None:
        family = socket.AF_INET6 if ipaddress.ip_address(found).version == 6 else socket.AF_INET
        with socket.socket(family) as s:
            s.bind((found, 0))  # refused for the address of another machine

    def refuse(*_: object) -> None:
        raise OSError("Network is unreachable")

    own_address.cache_clear()
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert own_address() is None
    own_address.cache_clear()
