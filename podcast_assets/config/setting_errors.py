"""Explanations of invalid settings."""

from pydantic import HttpUrl, SecretStr, ValidationError

from podcast_assets.common.redaction import HIDDEN, redact_text
from podcast_assets.config.environment import environment_name
from podcast_assets.config.settings import Settings

_SECRETS = {n for n, f in Settings.model_fields.items() if f.annotation in (SecretStr | None, HttpUrl | None)}
"""Settings that are secrets, or have a token in their path."""


def explain_error(error: ValidationError) -> list[str]:
    """Describe each invalid setting in one line: its environment variable, its value and what is expected."""
    lines = []
    for detail in error.errors():
        # without the prefix "Value error, " that pydantic adds to the messages of our own validators
        expected = str(detail.get("ctx", {}).get("error", detail["msg"]))
        if not detail["loc"]:  # concerns several settings, which the message names
            lines.append(redact_text(expected))
            continue
        name = str(detail["loc"][0])
        variable = environment_name(name) if name in Settings.model_fields else name
        value = HIDDEN if name in _SECRETS else redact_text(repr(detail["input"]))
        words = expected if expected[:2].isupper() else f"{expected[:1].lower()}{expected[1:]}"
        lines.append(f"{variable}={value}: {redact_text(words)}")
    return lines
