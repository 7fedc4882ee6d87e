"""The question before transcripts are sent to a server outside of this machine and its private network."""

import sys
from typing import TYPE_CHECKING

import click

from podcast_assets.cli.terminal import print_line
from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.environment import environment_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podcast_assets.config.settings import Settings
    from podcast_assets.moderation.protocol import ModerationPolicy


def confirm_remote(settings: "Settings", policies: "Iterable[ModerationPolicy] | None" = None) -> "Settings":
    """Say where transcripts would be sent for moderation, and ask once if that is outside of the private network.

    Args:
        settings: of the run in this process.
        policies: moderation policies that judge; None for those of the settings.

    Returns:
        The settings, which allow it if the answer is yes.

    Raises:
        Misconfigured: the settings do not allow it, and nobody can be asked.
        click.Abort: the answer is no.
    """
    if settings.moderation_url is None or (policies is None and not settings.moderation):
        return settings
    from podcast_assets.moderation.classifiers.openai import OpenAi
    from podcast_assets.moderation.endpoint.remote import describe, is_remote
    from podcast_assets.moderation.policies.load import load_policies

    judging = load_policies(settings.moderation, settings.moderation_policies) if policies is None else policies
    url = str(settings.engines.get(OpenAi.name, {}).get("url") or settings.moderation_url)
    if not any(policy.engine == OpenAi.name for policy in judging) or not is_remote(url):
        return settings
    said, setting = describe(url, "transcripts"), environment_name("moderation_allow_remote")
    if settings.moderation_allow_remote:
        print_line((said.replace("would be", "are"), "yellow"))
        return settings
    if not sys.stdin.isatty():
        raise Misconfigured(f"nothing was started: {said}. Set {setting}=true if that is allowed")
    print_line((said, "yellow"))
    click.confirm("Send them?", abort=True, err=True)
    return settings.model_copy(update={"moderation_allow_remote": True})
