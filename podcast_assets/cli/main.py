"""The command `podcast-assets`.

Only what its help needs is imported here, so that each command starts as fast as its own imports allow.
"""

import os
import sys
import traceback
from typing import Any

import click

from podcast_assets.cli import interrupts
from podcast_assets.cli.database_errors import describe_database_error
from podcast_assets.cli.lazy import LazyGroup
from podcast_assets.common import memory
from podcast_assets.common.errors import BadInput, EngineUnavailable, Misconfigured, is_store_trouble
from podcast_assets.common.redacted_output import redact_output
from podcast_assets.common.redaction import redact_text
from podcast_assets.config.environment import environment_name

COMMANDS = {
    "add": (
        "podcast_assets.cli.instance:add",
        "Register BATCHES under incoming/ as Dagster partitions, without waiting for the sensor.",
    ),
    "backfill": (
        "podcast_assets.cli.backfill:backfill",
        "Materialize BATCHES in as few runs as the assets' backfill policies allow. Run it again to resume.",
    ),
    "batches": (
        "podcast_assets.cli.batches:batches",
        "List batches, newest first, with their progress and the number of failed episodes.",
    ),
    "catalog": (
        "podcast_assets.cli.catalog:catalog",
        "Search, review and count in PostgreSQL: create the tables, load batches, back up decisions (docs/guides/catalog.md).",
    ),
    "dataset": (
        "podcast_assets.cli.dataset:dataset",
        "Verify or sample a published dataset: a folder, s3://…, or owner/name on the Hub (HF_ENDPOINT, HF_TOKEN).",
    ),
    "demo": (
        "podcast_assets.cli.run:demo",
        "Process the sample batch and measure the result against its reference transcripts.",
    ),
    "dev": (
        "podcast_assets.cli.instance:dev",
        "Start the Dagster UI on this machine: the webserver and the daemon; and the review page, where it is installed.",
    ),
    "discard": (
        "podcast_assets.cli.discard:discard",
        "Leave EPISODES (id, batch/id, file, batch/file, SHA-256 or URL) out of later stages, shards and releases.",
    ),
    "doctor": (
        "podcast_assets.cli.models:doctor",
        "Check whether the profile can run on this machine and say how to fix what is missing. Exits with 0 if it can.",
    ),
    "duplicates": (
        "podcast_assets.cli.batches:duplicates",
        "List pairs of episodes that are the same recording in different files, in BATCHES or in all (PODCAST_NEAR_DUPLICATES).",
    ),
    "episodes": (
        "podcast_assets.cli.batches:episodes",
        "List the episodes of BATCHES, or of all batches, with their status and language.",
    ),
    "failures": (
        "podcast_assets.cli.batches:failures",
        "List failures in BATCHES, or in all batches: the stage, the reason, and whether a retry can help.",
    ),
    "init": (
        "podcast_assets.cli.instance:init",
        "Set up the Dagster instance: DAGSTER_HOME, its dagster.yaml, and the slots of the gpu pool.",
    ),
    "models": (
        "podcast_assets.cli.models:models",
        "List, download and verify the models that the profile's engines need.",
    ),
    "node": (
        "podcast_assets.cli.node:node",
        "Join this machine to a Ray cluster, and list the machines of one.",
    ),
    "pause": (
        "podcast_assets.cli.queue:pause",
        "Pause the queue: sensors and schedules request no runs, and queued ones do not start, until `resume`.",
    ),
    "policy": (
        "podcast_assets.cli.policy:policy",
        "List, show and try quality policies, which decide which segments are kept. Changing the policy reruns no model.",
    ),
    "profiles": (
        "podcast_assets.cli.settings:profiles",
        "List the profiles and show which one `auto` chooses on this machine, and why.",
    ),
    "process": (
        "podcast_assets.cli.process:process",
        "Process EPISODES again (id, batch/id, file, batch/file, SHA-256 or URL), with other engines where they are named.",
    ),
    "release": (
        "podcast_assets.cli.release:release",
        "Publish all sealed samples that may be released, in one commit. Run it again to resume.",
    ),
    "resume": (
        "podcast_assets.cli.queue:resume",
        "Resume the paused queue: queued runs start, and sensors and schedules request runs again.",
    ),
    "retry": (
        "podcast_assets.cli.batches:retry",
        "Retry what failed in BATCHES, or in the batches of EPISODES (any name). Finished work is not repeated.",
    ),
    "review": (
        "podcast_assets.cli.review:review",
        "Serve the review page, where people listen, judge and correct, and the HTTP interface; manage its users and tokens.",
    ),
    "run": (
        "podcast_assets.cli.run:run",
        "Turn folders, archives, files or lists of URLs into a dataset, in this process. Run it again to resume.",
    ),
    "settings": (
        "podcast_assets.cli.settings:show_settings",
        "List all settings with their environment variables, values and meanings.",
    ),
    "speakers": (
        "podcast_assets.cli.speakers:speakers",
        "List speakers who appear in several episodes of a podcast, matched by their voice embeddings.",
    ),
    "stats": (
        "podcast_assets.cli.stats:stats",
        "Show episodes, hours, bytes, success rate, speed of the stages, failures by reason, and what waits, of all batches.",
    ),
    "submit": (
        "podcast_assets.cli.submit:submit",
        "Add files, archives, episode URLs, lists of them, feeds or OPML lists to the store. `podcast-assets dev` processes them.",
    ),
    "takedown": (
        "podcast_assets.cli.takedown:takedown",
        "Permanently remove an EPISODE (id, batch/id, file, batch/file, SHA-256 or URL) or a podcast (FEED URL, guid or title).",
    ),
    "takedowns": (
        "podcast_assets.cli.takedown:takedowns",
        "List takedowns: what, when, why, and whether everything has been removed from the store.",
    ),
    "token": (
        "podcast_assets.cli.review_users:token",
        "Add, list and disable tokens of programs that use the HTTP interface.",
    ),
    "top": (
        "podcast_assets.cli.top:top",
        "Show what runs now, where, how far and how fast it is, the GPUs of this machine, and what waits. Ctrl+C ends it.",
    ),
    "warnings": (
        "podcast_assets.cli.batches:warnings",
        "List what deserves a look in BATCHES, or in all batches: what failed or was skipped, unused metadata, missing speech.",
    ),
}
"""Command → its location, and the first paragraph of its docstring (a test compares them)."""


_LOG_LEVEL = environment_name("log_level")
_RESUMABLE = frozenset("backfill catalog demo models release retry run submit takedown".split())
"""Commands that continue where they were interrupted."""


class _ErrorReportingGroup(LazyGroup):
    """A group that reports errors which the user can fix in one line, without a traceback, and exits with 2.

    Interrupted commands exit with 130 (Ctrl+C) or 143 (SIGTERM).
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, which takes `-v` too, because people add it where they notice that they need it."""
        name, command, rest = super().resolve_command(ctx, args)
        _accept_verbose(command)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        interrupts.watch_signals()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            resume = "; run the same command again to resume" if ctx.invoked_subcommand in _RESUMABLE else ""
            _fail(f"interrupted{resume}", code=interrupts.exit_code())
        except click.ClickException as error:
            # it quotes arguments
            error.message = redact_text(error.message)  # pyright: ignore[reportAttributeAccessIssue]
            raise
        except (BadInput, Misconfigured, EngineUnavailable) as error:
            _fail(str(error))
        except OSError as error:
            if not is_store_trouble(error):
                raise
            _fail(str(error))
        except ValueError as error:
            lines = _describe_invalid_settings(error)
            if not lines:
                raise
            _fail(*lines)
        except Exception as error:
            line = describe_database_error(error)
            if line is None:
                raise
            _fail(line)


def _fail(*lines: str, code: int = 2) -> None:
    from podcast_assets.cli.terminal import print_line

    if _is_verbose():
        sys.stderr.write(redact_text(traceback.format_exc()))
    for line in lines:
        print_line((f"podcast-assets: {line}", "red"))
    sys.exit(code)


def _describe_invalid_settings(error: ValueError) -> list[str]:
    """One line per invalid setting; empty if the error is not about settings."""
    from pydantic import ValidationError

    from podcast_assets.config.setting_errors import explain_error
    from podcast_assets.config.settings import Settings

    return explain_error(error) if isinstance(error, ValidationError) and error.title == Settings.__name__ else []


def _is_verbose() -> bool:
    return os.environ.get(_LOG_LEVEL, "").strip().lower() == "debug"


def _set_verbose(_context: click.Context, _option: click.Parameter, given: bool) -> None:
    if given:
        os.environ[_LOG_LEVEL] = "debug"  # for the settings, which processes that this one starts read too


def _verbose_option(*, hidden: bool) -> click.Option:
    return click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        hidden=hidden,
        callback=_set_verbose,
        help="Show debug messages and tracebacks (PODCAST_LOG_LEVEL=debug).",
    )


def _accept_verbose(command: click.Command | None) -> None:
    """Add the option to a command and to the commands of a group, unless they have one of that name."""
    if isinstance(command, click.Group):
        for one in command.commands.values():
            _accept_verbose(one)
    if command is not None and not any({"-v", "--verbose"} & {*p.opts} for p in command.params):
        command.params.append(_verbose_option(hidden=True))


@click.group(cls=_ErrorReportingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="podcast-assets")
def main() -> None:
    """Podcasts into speech datasets: diarized, transcribed, scored, sealed as shards."""
    redact_output()
    memory.keep_freed_memory()
    os.environ.update({k: v for k, v in memory.ENVIRONMENT.items() if k not in os.environ})


main.params.append(_verbose_option(hidden=False))
main.add_lazy_commands(COMMANDS)
