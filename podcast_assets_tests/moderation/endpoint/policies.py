"""A policy of two labels, and windows, for tests of adapters."""

from dataclasses import replace
from typing import Any

from podcast_assets.moderation.protocol import Label, ModerationPolicy, Window

OVERVIEW = """## Overview

Finds rude and threatening speech.

## Definition of Labels
"""
RUDE = """### (RU): Rude speech

#### Includes

- Insults: calling somebody names.

#### Excludes

- Quotations of others."""
THREAT = """### (TH): Threats

#### Includes

- Announcing harm: {"braces": true} %s

#### Excludes

- Jokes."""
POLICY = ModerationPolicy(
    name="rudeness",
    version="1",
    language=None,
    engine="openai",
    text=f"{OVERVIEW}\n{RUDE}\n\n{THREAT}\n",
    labels=(
        Label(
            "RU",
            "Rude speech",
            "rude_speech",
            "- Insults: calling somebody names.",
            "- Quotations of others.",
            0.5,
            RUDE,
        ),
        Label("TH", "Threats", "threats", '- Announcing harm: {"braces": true} %s', "- Jokes.", 0.5, THREAT),
    ),
    probes=(),
    hash="0" * 64,
)


def policy(**options: Any) -> ModerationPolicy:
    """The policy with engine options."""
    return replace(POLICY, engine_options=options)


def window(text: str, index: int = 0) -> Window:
    return Window(index, float(index), index + 1.0, (f"s{index}",), text, "en")
