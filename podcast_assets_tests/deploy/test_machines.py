"""Units, the node's install script and the image's file: linted, and run as far as that goes without root."""

import json
import os
import plistlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from podcast_assets.cli.node import join
from podcast_assets_tests.conftest import CHECKOUT
from podcast_assets_tests.deploy.conftest import DEPLOY, tool

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
INSTALL = DEPLOY / "node/install.sh"
TOKEN = "correct-horse-battery-staple"


def verify(unit: str, folder: Path) -> None:
    """What systemd says of a unit whose programs are there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    for name in ["dagster", "dagster-daemon", "dagster-webserver"]:
        (programs / name).touch(mode=0o755)
    path = folder / "podcast-tried.service"
    path.write_text(unit.replace("/opt/podcast-assets/venv/bin", str(programs)))
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
    )
    # units that are missing here and the user `podcast` are the machine's affair
    ours = [line for line in result.stderr.splitlines() if "podcast-tried" in line]
    assert not ours, "\n".join(ours)


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_systemd_understands_the_unit(path: Path, tmp_path: Path) -> None:
    verify(path.read_text(), tmp_path)


def test_systemd_would_tell_a_typo(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="Restat"):
        verify(UNITS[0].read_text().replace("Restart=", "Restat="), tmp_path)


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_services_are_hardened_and_have_time_to_end(path: Path) -> None:
    lines = set(path.read_text().splitlines())
    assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "Restart=always", "User=podcast"} <= lines
    [stop] = [int(line.partition("=")[2]) for line in lines if line.startswith("TimeoutStopSec=")]
    assert stop >= 30
    assert "0.0.0.0" not in path.read_text(), "no login: loopback only"


def install(
    prefix: Path, *arguments: str, system: str = "Linux", token: str | None = TOKEN
) -> subprocess.CompletedProcess[str]:
    """The script, writing to `prefix`, on a machine that says it is of that system."""
    programs = prefix.with_name("programs")
    programs.mkdir(exist_ok=True)
    (programs / "uname").write_text(f"#!/bin/sh\necho {system}\n")
    (programs / "uname").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"} | ({"RAY_AUTH_TOKEN": token} if token else {})
    return subprocess.run(
        ["sh", str(INSTALL), "--dry-run", "--prefix", str(prefix), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_shellcheck_finds_nothing() -> None:
    result = subprocess.run([tool("shellcheck"), str(INSTALL)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_a_node_gets_a_unit_and_a_token_that_nobody_else_reads(tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    result = install(prefix, "--address", "head.example.org:6379", "--gpus", "2")
    assert result.returncode == 0, result.stderr
    unit = (prefix / "podcast-ray-node.service").read_text()
    verify(unit, tmp_path)
    assert f"ExecStart={prefix}/ray-node.sh" in unit
    token = prefix / "ray-token"
    assert token.read_text() == TOKEN
    assert token.stat().st_mode & 0o777 == 0o600
    others = [p for p in prefix.rglob("*") if p.is_file() and p != token]
    assert others
    assert not [p for p in others if TOKEN in p.read_text()]


def test_the_node_joins_as_it_was_told(tmp_path: Path) -> None:
    """The start script is run, with a command that says what it was called with."""
    prefix = tmp_path / "prefix"
    stay = ["--name", "gpu-box", "--languages", "zh,ja", "--idle-minutes", "30", "--persistent"]
    install(prefix, "--address", "head.example.org:6379", "--gpus", "2", *stay)
    command = prefix / "venv/bin/podcast-assets"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "$@"\necho "$RAY_AUTH_MODE $RAY_AUTH_TOKEN_PATH"\n')
    command.chmod(0o755)
    result = subprocess.run([str(prefix / "ray-node.sh")], capture_output=True, text=True, check=True)
    called, environment = result.stdout.splitlines()
    assert called == f"node join --address head.example.org:6379 --gpus 2 {' '.join(stay)}"
    arguments = shlex.split(called)[2:]
    with join.make_context("join", arguments) as context:
        assert context.params["languages"] == ["zh", "ja"]
        assert context.params["persistent"] is True
    assert environment == f"token {prefix}/ray-token"


def test_a_mac_gets_a_daemon_of_launchd(tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    result = install(prefix, "--address", "head.example.org:6379", system="Darwin")
    assert result.returncode == 0, result.stderr
    daemon = plistlib.loads((prefix / "org.podcast-assets.ray-node.plist").read_bytes())
    assert daemon["Label"] == "org.podcast-assets.ray-node"
    assert daemon["ProgramArguments"] == [f"{prefix}/ray-node.sh"]
    assert daemon["KeepAlive"] == {"SuccessfulExit": False}
    assert "--num-gpus" not in (prefix / "ray-node.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "token", "says"),
    [
        (["--address", "head:6379"], None, "RAY_AUTH_TOKEN"),
        (["--address", "head"], TOKEN, "HOST:PORT"),
        (["--address", "head:6379; rm -rf /"], TOKEN, "usage"),
        (["--address", "head:6379", "--gpus", "two"], TOKEN, "--gpus two"),
        (["--address"], TOKEN, "--address wants a value"),
        (["--address", "head:6379", "--name", "a; reboot"], TOKEN, "--name a; reboot"),
        ([], TOKEN, "usage"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_done(
    tmp_path: Path, arguments: list[str], token: str | None, says: str
) -> None:
    prefix = tmp_path / "prefix"
    result = install(prefix, *arguments, token=token)
    assert result.returncode != 0
    assert says in result.stderr
    assert not prefix.exists()


def test_hadolint_finds_nothing() -> None:
    path = DEPLOY / "images/Dockerfile"
    result = subprocess.run([tool("hadolint"), "-f", "json", str(path)], capture_output=True, text=True, check=False)
    assert json.loads(result.stdout) == []
    assert result.returncode == 0


def test_both_images_run_as_somebody_and_hear_sigterm() -> None:
    text = (DEPLOY / "images/Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM (\S+) AS (\S+)", text, re.MULTILINE)[::-1])
    assert stages["runtime"] in {"gpu", "service"}
    runtime = text.partition(" AS runtime")[2].partition("\nFROM ")[0]
    assert "\nUSER 1000:1000\n" in runtime
    assert '\nENTRYPOINT ["/usr/bin/tini", "--"]\n' in runtime
    assert "\nHEALTHCHECK " in runtime
    later = text.partition(" AS runtime")[2].partition("\nFROM ")[2]
    assert not re.search(r"^(USER|ENTRYPOINT)", later, re.MULTILINE)


def test_the_context_holds_what_the_package_is_built_from() -> None:
    kept = [
        line[1:]
        for line in (DEPLOY / "images/Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    assert "podcast_assets" in kept
    assert all((CHECKOUT / name).exists() for name in kept)
    copied = re.findall(r"^COPY ((?!--from|\. ).*) \./$", (DEPLOY / "images/Dockerfile").read_text(), re.MULTILINE)
    assert set(copied[0].split()) <= set(kept)
