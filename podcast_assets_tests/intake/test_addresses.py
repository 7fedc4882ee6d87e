"""What strangers' links may lead to: judged after DNS, after each redirect, and at the very connection."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.intake.downloads.addresses import ForbiddenAddress, public_addresses, why_forbidden
from podcast_assets.intake.downloads.download import DownloadLimits, download
from podcast_assets.intake.downloads.http import HttpClient, Transient
from podcast_assets.intake.downloads.partial import PartialDownload
from podcast_assets.intake.downloads.politeness import HostTurns
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server

PRIVATE = """
    127.0.0.1 127.9.9.9 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 100.64.0.1 169.254.169.254 100.100.100.200 192.0.0.192
    168.63.129.16 224.0.0.1 240.0.0.1 255.255.255.255 198.18.0.1 192.0.2.1
    ::1 :: fe80::1 fe80::1%eth0 fd00:ec2::254 fc00::1 ff02::1 fec0::1 2001:db8::1
    ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 2002:7f00:1:: 2002:a9fe:a9fe:: 64:ff9b::7f00:1 64:ff9b:1::1
    2001:0:7f00:1::1
    192.0.0.9 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.51.100.7 203.0.113.7 198.19.255.255 239.255.255.250
    100:: 100:0:0:1::1 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:30::1 2620:4f:8000::1
    3fff::1 3ffe::1 5f00::1 4000::1 e000::1 200::1 2d00::1 2e00::1 feff::1
    ::ffff:0:127.0.0.1 ::ffff:0:1.1.1.1 ::1.1.1.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe
    64:ff9b:1::127.0.0.1 64:ff9b:1:ffff:ffff:ffff:1.1.1.1
    2606:4700::5efe:127.0.0.1 2606:4700::200:5efe:10.0.0.1 fe80::5efe:1.1.1.1 2002:a00:1:: 2002:101:101::5efe:127.0.0.1
    2001:0:101:101:0:0:80ff:fffe
    2606:4700::a9fe:a9fe 2606:4700:a9fe:a9fe:: 2606:4700:1a9:fea9:fe:: 2606:4700:1:a9fe:a9:fe00:: 2606:4700:1:1a9:fe:a9fe::
    2606:4700:1:1:a9:fea9:fe00:0
""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert why_forbidden(address)
    with pytest.raises(ForbiddenAddress, match=r"x\.example is not on the public network"):
        public_addresses("x.example", 80, lambda host, port: [address])


@pytest.mark.parametrize(
    "address",
    """
    93.184.216.34 1.1.1.1 100.128.0.1 172.32.0.1 192.0.1.1 198.20.0.1 223.255.255.254
    2606:4700::1111 2400:cb00::1 2a00:1450:4001::1 2c0f:f248::1 2620:0:861::1 2001:4860:4860::8888
    64:ff9b::5db8:d822 ::ffff:93.184.216.34 2002:5db8:d822::1 2606:4700::5efe:93.184.216.34
    """.split(),
)
def test_public_addresses_are_not(address: str) -> None:
    assert why_forbidden(address) is None


def test_of_several_addresses_only_the_public_ones_are_left() -> None:
    assert public_addresses("x", 80, lambda h, p: ["10.0.0.1", "1.1.1.1", "::1"]) == ["1.1.1.1"]


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        running.put("/secret", Resource(b"ID3 credentials"))
        yield running


def fetch(web: HttpClient, url: str, folder: Path) -> bytes:
    with PartialDownload(folder, "0" * 32) as partial:
        download(web, url, partial, DownloadLimits(bytes=10**6, seconds=20, tries=1, first_wait=0.01))
        return partial.content().read()


def polite() -> HostTurns:
    return HostTurns(overall=4, per_host=4, delay=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
def test_no_spelling_of_this_machine_gets_through(server: WebServer, tmp_path: Path, host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        fetch(HttpClient(polite(), "test"), server.url("/secret", host), tmp_path)
    assert server.requests == []


def test_a_name_of_a_private_address_is_refused(server: WebServer, tmp_path: Path) -> None:
    web = HttpClient(polite(), "test", resolver=lambda host, port: ["127.0.0.1"])
    with pytest.raises(ForbiddenAddress, match=r"media\.example"):
        fetch(web, server.url("/secret", "media.example"), tmp_path)
    assert server.requests == []


def test_a_redirect_to_a_private_address_is_refused(server: WebServer, tmp_path: Path) -> None:
    server.put("/open", Resource(location=server.url("/secret", "localhost")))
    web = HttpClient(polite(), "test", frozenset({"127.0.0.1"}))
    with pytest.raises(ForbiddenAddress, match="localhost"):
        fetch(web, server.url("/open"), tmp_path)
    assert [r.path for r in server.requests] == ["/open"]


def test_a_name_that_answers_otherwise_a_moment_later_gains_nothing(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is public, every later one is this machine."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    asked, connected = [], []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    def connecting(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        connected.append(address[0])
        return socket.create_connection(("127.0.0.1", 1) if address[0] == "93.184.216.34" else address)

    monkeypatch.setattr("podcast_assets.intake.downloads.http.create_connection", connecting)
    with pytest.raises(Transient):
        fetch(HttpClient(polite(), "test", resolver=rebinding), server.url("/secret", "rebind.example"), tmp_path)
    assert (asked, connected, server.requests) == (["rebind.example"], ["93.184.216.34"], [])


def test_a_host_that_somebody_named_may_be_private(server: WebServer, tmp_path: Path) -> None:
    web = HttpClient(polite(), "test", frozenset({"media.example"}), resolver=lambda host, port: ["127.0.0.1"])
    assert fetch(web, server.url("/secret", "media.example"), tmp_path) == b"ID3 credentials"
    assert server.requests[0].headers["Host"] == f"media.example:{server.port}"
