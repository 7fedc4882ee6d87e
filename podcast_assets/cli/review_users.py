"""`podcast-assets review user …` and `podcast-assets token …`: who may use the review page and the HTTP interface."""

import datetime
import json
import sys
from typing import TYPE_CHECKING, Any, cast

import click
from rich.text import Text

from podcast_assets.cli.terminal import json_option, load_settings, make_table, output, print_json, print_line
from podcast_assets.common.errors import BadInput

if TYPE_CHECKING:
    from podcast_assets.review.roles import Role

ROLE = click.Choice(["reviewer", "adjudicator", "admin"])
SCOPE = click.Choice(["submit", "read", "review", "admin"])


@click.group()
def user() -> None:
    """Users of the review page: reviewers judge and correct, adjudicators decide where two disagree, admins may do everything."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=ROLE, default="reviewer", show_default=True, help="What the user may do.")
@click.option("--no-password", is_flag=True, help="For users who come through a trusted proxy or a login link only.")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of the standard input.")
def add_user(name: str, role: str, no_password: bool, password_stdin: bool) -> None:
    """Add the user NAME. Asks for a password twice."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import accounts

    if no_password and password_stdin:
        raise click.UsageError("--no-password and --password-stdin exclude each other")
    password = None if no_password else _ask_password(password_stdin)
    with open_catalog(load_settings()) as engine:
        added = accounts.add_user(engine, name, password, _role(role))
    print_line(f"{added.name} is {'an' if role[0] == 'a' else 'a'} {added.role} now")


@user.command("list")
@json_option("a JSON array")
def list_users(as_json: bool) -> None:
    """List all users with their roles."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import accounts

    with open_catalog(load_settings()) as engine:
        found = accounts.list_users(engine)
    if as_json:
        print_json([{"name": u.name, "role": u.role, "disabled": u.disabled} for u in found])
        return
    table = make_table("user", "role", "disabled")
    for one in found:
        table.add_row(Text(one.name), one.role, "disabled" if one.disabled else "")
    output.print(table)


@user.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Enable the user again.")
def disable_user(name: str, undo: bool) -> None:
    """Disable the user NAME, and end the user's sessions. Decisions stay."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import accounts

    with open_catalog(load_settings()) as engine:
        accounts.disable_user(engine, name, disabled=not undo)
    print_line(f"{name} may log in again" if undo else f"{name} cannot log in any more")


@user.command("password")
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of the standard input.")
def set_password(name: str, password_stdin: bool) -> None:
    """Replace the password of the user NAME, and end the user's sessions."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import accounts

    password = _ask_password(password_stdin)
    with open_catalog(load_settings()) as engine:
        accounts.set_password(engine, name, password)
    print_line(f"{name} has a new password")


@user.command("role")
@click.argument("name")
@click.argument("role", type=ROLE)
def set_role(name: str, role: str) -> None:
    """Give the user NAME another ROLE."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import accounts

    with open_catalog(load_settings()) as engine:
        accounts.set_role(engine, name, _role(role))
    print_line(f"{name} is {'an' if role[0] == 'a' else 'a'} {role} now")


@click.group()
def token() -> None:
    """Add, list and disable tokens of programs that use the HTTP interface."""


@token.command("add")
@click.argument("name")
@click.option(
    "--scope", "scopes", type=SCOPE, multiple=True, required=True, help="What the token is for; give it several times."
)
@json_option("one JSON object")
def add_token(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Add a token of the name NAME, and print its secret, which is shown this once."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import tokens
    from podcast_assets.review.secrets import deployment_key

    settings = load_settings()
    with open_catalog(settings) as engine:
        added, secret = tokens.add_token(engine, name, [s for s in tokens.SCOPES if s in scopes])
        callbacks = tokens.callback_secret(deployment_key(settings), added.token_id)
    if as_json:
        # not by print_json, which would redact what is asked for
        click.echo(
            json.dumps({"name": added.name, "scopes": added.scopes, "secret": secret, "callback_secret": callbacks})
        )
        return
    click.echo(secret)
    print_line(f"the token {added.name} may {', '.join(added.scopes)}. Its secret, above, is not shown again")
    click.echo(f"callbacks are signed with {callbacks}", err=True)


@token.command("list")
@json_option("a JSON array")
def list_tokens(as_json: bool) -> None:
    """List all tokens with their scopes, without their secrets."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import tokens

    with open_catalog(load_settings()) as engine:
        found = tokens.list_tokens(engine)
    if as_json:
        shown = ("name", "scopes", "created_at", "last_used_at", "disabled_at")
        print_json([{n: _plain(getattr(t, n)) for n in shown} for t in found])
        return
    table = make_table("token", "scopes", "last used", "disabled")
    for one in found:
        used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
        table.add_row(Text(one.name), ", ".join(one.scopes), used, "disabled" if one.disabled_at else "")
    output.print(table)


@token.command("disable")
@click.argument("name")
def disable_token(name: str) -> None:
    """Disable the token NAME for good."""
    from podcast_assets.catalog.opening import open_catalog
    from podcast_assets.review import tokens

    with open_catalog(load_settings()) as engine:
        tokens.disable_token(engine, name)
    print_line(f"the token {name} is not valid any more")


def _ask_password(from_stdin: bool) -> str:
    """Ask for a password, so that it is in no list of processes and no history."""
    if not from_stdin:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise BadInput("the standard input has no password in its first line")
    return password


def _role(name: str) -> "Role":
    return cast("Role", name)  # click has checked it


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value
