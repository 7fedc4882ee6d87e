"""`podcast-assets settings` and `profiles`: show the settings, and the profile that they select."""

import click
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.terminal import json_option, load_settings, make_table, output, print_json
from podcast_assets.common.redaction import redact_json, redact_url
from podcast_assets.config.environment import environment_name
from podcast_assets.config.setting_descriptions import describe_settings


@click.command("settings")
@json_option("one JSON object")
def show_settings(as_json: bool) -> None:
    """List all settings with their environment variables, values and meanings."""
    settings = load_settings()
    values = redact_json(settings.model_dump(mode="json"))
    if settings.webhook_url:  # tokens of webhooks are in the path
        values["webhook_url"] = (
            f"{redact_url(str(settings.webhook_url)).removesuffix(settings.webhook_url.path or '')}/…"
        )
    if as_json:
        print_json({environment_name(k): v for k, v in values.items()})
        return
    table = make_table("variable", "value", "meaning", no_wrap=("variable",))  # names are copied
    for setting in describe_settings():
        value = values[setting.field]
        table.add_row(setting.variable, Text("" if value is None else str(value)), Text(setting.description))
    output.print(table)


@click.command()
def profiles() -> None:
    """List the profiles and show which one `auto` chooses on this machine, and why."""
    from podcast_assets.stages.profiles import DESCRIPTIONS, explain_choice

    table = Table("profile", "description")
    for name, description in DESCRIPTIONS.items():
        table.add_row(name, Text(description))
    output.print(table)
    name, reason = explain_choice(load_settings())
    output.print(Text.assemble("here: ", (name, "bold"), f", because {reason}"), soft_wrap=True)
