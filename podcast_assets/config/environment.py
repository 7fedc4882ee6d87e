"""The environment variables that hold the settings."""

import os
from collections.abc import Iterable


def environment_name(field: str) -> str:
    """Environment variable that sets a field of `Settings`."""
    return "DAGSTER_HOME" if field == "dagster_home" else f"PODCAST_{field.upper()}"


def read_environment(fields: Iterable[str]) -> dict[str, str]:
    """Read the values of fields from their environment variables.

    Names of variables are case-insensitive, and an empty variable counts as unset.
    """
    variables = {name.upper(): value for name, value in os.environ.items() if value}
    return {field: variables[name] for field in fields if (name := environment_name(field)) in variables}
