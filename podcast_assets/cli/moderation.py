"""`podcast-assets moderation list`, `show`, `try`: list moderation policies and try them on transcripts."""

from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.remote_texts import confirm_remote
from podcast_assets.cli.terminal import (
    STORE,
    json_option,
    load_settings,
    make_table,
    open_store,
    output,
    print_json,
    print_line,
)

if TYPE_CHECKING:
    from podcast_assets.moderation.protocol import ModerationPolicy
    from podcast_assets.stages.moderation_trial import ModerationTrial, TriedWindow

_JSON = json_option("JSON")
_NUMBERS = ("labels", "threshold", "probability", "start")
_SHOWN_TEXT = 90
"""Characters of a text that are shown."""


@click.group()
def moderation() -> None:
    """List, show and try moderation policies, which judge what is said. (Quality policies: `podcast-assets policy`.)"""


@moderation.command("list")
@_JSON
def list_policies(as_json: bool) -> None:
    """List the moderation policies of the package and of PODCAST_MODERATION_POLICIES, and those set by PODCAST_MODERATION."""
    from podcast_assets.moderation.policies.load import load_policy, policy_files, split_names

    settings = load_settings()
    folder = settings.moderation_policies
    chosen = list(split_names(settings.moderation))
    policies = {name: load_policy(name, folder) for name in dict.fromkeys([*policy_files(folder), *chosen])}
    if as_json:
        print_json(
            [
                {
                    "name": p.name,
                    "version": p.version,
                    "engine": p.engine,
                    "language": p.language,
                    "labels": [label.slug for label in p.labels],
                    "description": p.description,
                    "hash": p.hash,
                    "chosen": name in chosen,
                }
                for name, p in policies.items()
            ]
        )
        return
    table = _make_table("policy", "engine", "language", "labels", "description")
    for name, p in policies.items():
        label = Text.assemble(p.title, (" chosen", "green") if name in chosen else "")
        table.add_row(label, Text(p.engine), p.language or "any", str(len(p.labels)), Text(p.description))
    output.print(table)


@moderation.command()
@click.argument("policy_name", metavar="FILE_OR_NAME")
@click.option("--probes", "with_probes", is_flag=True, help="Print the calibration probes too.")
@_JSON
def show(policy_name: str, with_probes: bool, as_json: bool) -> None:
    """Check a moderation policy, and print its labels as rules name them."""
    from podcast_assets.moderation.policies.load import load_policy

    settings = load_settings()
    p = load_policy(policy_name, settings.moderation_policies)
    if as_json:
        print_json(_to_json(p))
        return
    output.print(Text(f"{p.title}: {p.description}" if p.description else p.title), soft_wrap=True)
    print_line(
        f"engine {p.engine}, language {p.language or 'any'}, windows of about {p.window_words} words, file {p.hash[:12]}…"
    )
    table = _make_table("label", "name", "code", "threshold")
    for label in p.labels:
        table.add_row(Text(f"{p.name}.{label.slug}"), Text(label.name), Text(label.code), f"{label.threshold:g}")
    output.print(table)
    if with_probes:
        probes = _make_table("probe", "label", "should be")
        for probe in p.probes:
            probes.add_row(Text(probe.text), probe.label or "any", "flagged" if probe.flagged else "clean")
        output.print(probes)


@moderation.command("try")
@click.argument("policy_name", metavar="FILE_OR_NAME")
@click.option(
    "--batch", "batches", multiple=True, help="Batch to try it on; may be repeated. Default: all with transcripts."
)
@click.option(
    "--sample",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Number of windows that are judged.",
)
@_JSON
@STORE
def try_on_batches(policy_name: str, batches: tuple[str, ...], sample: int, as_json: bool, store: str | None) -> None:
    """Judge a sample of transcripts by a moderation policy, and say what judging all would take. Nothing is written."""
    from podcast_assets.moderation.policies.load import load_policy
    from podcast_assets.stages.moderation_trial import try_policy

    settings = load_settings(store=store)
    p = load_policy(policy_name, settings.moderation_policies)
    settings = confirm_remote(settings, [p])
    trial = try_policy(open_store(settings), settings, p, batches or None, sample)
    if as_json:
        print_json(trial.to_json())
        return
    _print_trial(trial)


def _print_trial(trial: "ModerationTrial") -> None:
    from podcast_assets.moderation.judging import describe_probe

    policy = trial.policy
    count = f"{len(trial.batches)} batches" if len(trial.batches) > 1 else f"batch {trial.batches[0]}"
    print_line(f"{policy.title} by the engine {policy.engine}, tried on {count}. Nothing is written.")
    wrong = [p for p in trial.probes if not p.right]
    print_line(
        f"calibration probes: {len(trial.probes) - len(wrong)} of {len(trial.probes)} right",
        *((("; with wrong ones content_flags judges nothing", "red"),) if wrong else ()),
    )
    for probe in wrong:
        print_line((describe_probe(probe), "yellow"))
    table = _make_table("episode", "start", "label", "probability", "verdict", "what is said")
    for tried in trial.sample:
        _add_rows(table, tried, policy)
    output.print(table)
    estimate = trial.estimate
    tokens = f", {estimate.tokens_in:,} + {estimate.tokens_out:,} tokens" if estimate.tokens_in else ""
    price = f", {estimate.price:,.2f} USD" if estimate.price is not None else ""
    other = (
        f"; {trial.windows_in_other_languages:,} windows in other languages than {policy.language} would not be judged"
        if trial.windows_in_other_languages
        else ""
    )
    print_line(
        f"all: {trial.windows:,} windows of {trial.episodes:,} episodes ({trial.hours:,.2f} h of audio), about "
        f"{_format_time(estimate.seconds)}{tokens}{price}{other}"
    )
    print_line(f"to apply it: add {policy.name} to PODCAST_MODERATION and materialize content_flags")


def _add_rows(table: Table, tried: "TriedWindow", policy: "ModerationPolicy") -> None:
    """Add a row per label that is not clean, and one for a window whose labels are all clean."""
    from podcast_assets.moderation.judging import CLEAN, verdict_of

    window = tried.judged.window
    text = " / ".join(window.text.split("\n"))
    shown = text if len(text) <= _SHOWN_TEXT else f"{text[: _SHOWN_TEXT - 1]}…"
    found = [
        (label, judgment, verdict_of(judgment, label.threshold))
        for label, judgment in zip(policy.labels, tried.judged.judgments, strict=True)
    ]
    told = [row for row in found if row[2] != CLEAN] or [max(found, key=lambda row: row[1].probability or 0.0)]
    for number, (label, judgment, verdict) in enumerate(told):
        probability = judgment.reason if judgment.probability is None else f"{judgment.probability:.2f}"
        first = number == 0
        table.add_row(
            Text(tried.source if first else ""),
            f"{window.start:.0f} s" if first else "",
            Text(label.slug),
            Text(probability or ""),
            Text(verdict, style="" if verdict == CLEAN else "yellow"),
            Text(shown if first else ""),
        )


def _to_json(p: "ModerationPolicy") -> dict[str, object]:
    return {
        "name": p.name,
        "version": p.version,
        "description": p.description,
        "engine": p.engine,
        "language": p.language,
        "window_words": p.window_words,
        "hash": p.hash,
        "labels": [
            {
                "label": label.slug,
                "name": label.name,
                "code": label.code,
                "threshold": label.threshold,
                "includes": label.includes,
                "excludes": label.excludes,
            }
            for label in p.labels
        ],
        "probes": [{"label": probe.label, "text": probe.text, "flagged": probe.flagged} for probe in p.probes],
    }


def _format_time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def _make_table(*columns: str) -> Table:
    return make_table(*columns, numbers=_NUMBERS)
