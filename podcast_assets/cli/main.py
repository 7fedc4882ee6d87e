"""`podcast-assets …`: what people type. Each command is a few lines; the rooms below do the work.

Nothing is imported here but what the help of the whole needs: a command starts as fast as its own imports are.
"""

import os
import sys
from typing import Any

import click

from podcast_assets.cli.lazy import LazyGroup
from podcast_assets.common import memory
from podcast_assets.common.errors import BadInput, EngineUnavailable, Misconfigured, is_store_trouble

COMMANDS = {
    "add": (
        "podcast_assets.cli.instance:add",
        "Make BATCHES under incoming/ partitions, without waiting for the sensor; then any way of Dagster's can start them.",
    ),
    "backfill": (
        "podcast_assets.cli.backfill:backfill",
        "Materialize many BATCHES in few runs, keeping to the assets' backfill policy. To do so again is to resume.",
    ),
    "batches": (
        "podcast_assets.cli.batches:batches",
        "Print the batches, those that arrived last first: how far they are, and how many episodes failed.",
    ),
    "dataset": (
        "podcast_assets.cli.dataset:dataset",
        "Look into a published dataset: a folder, s3://…, or owner/name on the Hub (HF_ENDPOINT, HF_TOKEN).",
    ),
    "demo": (
        "podcast_assets.cli.run:demo",
        "Take the sample batch all the way, and measure it against its references.",
    ),
    "dev": (
        "podcast_assets.cli.instance:dev",
        "Open the Dagster UI on this machine: webserver and daemon, with everything that was materialized.",
    ),
    "doctor": (
        "podcast_assets.cli.models:doctor",
        "Say what works on this machine and what to do about the rest; ends with 0 when the profile can run here.",
    ),
    "duplicates": (
        "podcast_assets.cli.batches:duplicates",
        "Print pairs of episodes, of BATCHES or all, that sound the same though their bytes differ (PODCAST_NEAR_DUPLICATES).",
    ),
    "episodes": (
        "podcast_assets.cli.batches:episodes",
        "Print the episodes of BATCHES, or of all: what each is, and what became of it.",
    ),
    "failures": (
        "podcast_assets.cli.batches:failures",
        "Print what failed in BATCHES, or in all: the stage, the reason, and whether another attempt can help.",
    ),
    "init": (
        "podcast_assets.cli.instance:init",
        "Set up Dagster's instance: DAGSTER_HOME, its dagster.yaml, and the slots of the pool gpu.",
    ),
    "models": (
        "podcast_assets.cli.models:models",
        "The models of the chosen profile's engines: what they are, where they lie, to fetch and to check them.",
    ),
    "policy": (
        "podcast_assets.cli.policy:policy",
        "Policies decide which segments are kept. They delete nothing, and another one runs no model again.",
    ),
    "profiles": (
        "podcast_assets.cli.settings:profiles",
        "Print the profiles, and which one `auto` takes here and why.",
    ),
    "release": (
        "podcast_assets.cli.release:release",
        "Publish all that is sealed and may be published, in one commit. To do so again is to resume, or does nothing.",
    ),
    "retry": (
        "podcast_assets.cli.batches:retry",
        "Try again what failed in BATCHES, or the batches of EPISODES, named by id or file. What is done is not done again.",
    ),
    "run": (
        "podcast_assets.cli.run:run",
        "Turn FOLDERS, ARCHIVES or files into a dataset, here and now. To run it again is to resume it.",
    ),
    "settings": (
        "podcast_assets.cli.settings:show_settings",
        "Print every setting with its environment variable, value and meaning.",
    ),
    "speakers": (
        "podcast_assets.cli.speakers:speakers",
        "Print the voices that several episodes of a podcast share, by the embeddings of the diarizer, with a confidence.",
    ),
    "submit": (
        "podcast_assets.cli.submit:submit",
        "Bring files, folders, archives, URLs of episodes, feeds or OPML lists to the store. The sensors (make dev) do the rest.",
    ),
    "takedown": (
        "podcast_assets.cli.takedown:takedown",
        "Take an EPISODE (id, batch/id, file, SHA-256 or URL) or a podcast (FEED's URL, guid or title) down, for good.",
    ),
    "takedowns": (
        "podcast_assets.cli.takedown:takedowns",
        "Print what was taken down, when, why, and whether all of it is gone from the store.",
    ),
}
"""Command → where it is, and the first paragraph of its docstring, which a test compares."""


class _CleanErrorsGroup(LazyGroup):
    """A group whose commands end with one line where the user can do something about an error."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadInput, Misconfigured, EngineUnavailable) as error:
            _end(str(error))
        except OSError as error:
            if not is_store_trouble(error):
                raise
            _end(str(error))
        except ValueError as error:
            lines = _wrong_settings(error)
            if not lines:
                raise
            _end(*lines)


def _end(*lines: str) -> None:
    from podcast_assets.cli.terminal import print_line

    for line in lines:
        print_line((f"podcast-assets: {line}", "red"))
    sys.exit(2)


def _wrong_settings(error: ValueError) -> list[str]:
    """A line for each setting that an error is about; none where it is about something else."""
    from pydantic import ValidationError

    from podcast_assets.config.settings import Settings, explain_error

    return explain_error(error) if isinstance(error, ValidationError) and error.title == Settings.__name__ else []


@click.group(cls=_CleanErrorsGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="podcast-assets")
def main() -> None:
    """Podcasts into speech datasets: diarized, transcribed, scored, sealed as shards."""
    memory.keep_freed_memory()
    os.environ.update({k: v for k, v in memory.ENVIRONMENT.items() if k not in os.environ})


main.add_lazy_commands(COMMANDS)
