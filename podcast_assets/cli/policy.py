"""`podcast-assets policy list`, `show`, `try`: list quality policies and try them on scored batches."""

from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

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
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from podcast_assets.quality.policies.trial import PolicyTrial, SpeechAmount

_JSON = json_option("JSON")
_NUMBERS = ("rules", "segments", "of all", "hours", "minutes", "takes", "leaves", "alone", "in all")
"""Columns of numbers, which are not shortened before names are."""


@click.group()
def policy() -> None:
    """List, show and try quality policies, which decide which segments are kept. Changing the policy reruns no model."""


@policy.command("list")
@_JSON
def list_policies(as_json: bool) -> None:
    """List the policies of the package, and the one set by PODCAST_POLICY."""
    from podcast_assets.quality.policies.policy import load_policy, policy_names

    chosen = load_settings().policy
    policies = {name: load_policy(name) for name in dict.fromkeys([*policy_names(), chosen])}
    if as_json:
        rows = [
            {
                "name": p.name,
                "version": p.version,
                "rules": len(p.rules),
                "description": p.description,
                "chosen": name == chosen,
            }
            for name, p in policies.items()
        ]
        print_json(rows)
        return
    table = _make_table("policy", "rules", "description")
    for name, p in policies.items():
        label = Text.assemble(p.label, (" chosen", "green") if name == chosen else "")
        table.add_row(label, str(len(p.rules)), Text(p.description))
    output.print(table)


@policy.command()
@click.argument("policy_name", metavar="FILE_OR_NAME")
@_JSON
def show(policy_name: str, as_json: bool) -> None:
    """Print the rules of a policy in order."""
    from podcast_assets.quality.policies.evidence import evidence_types
    from podcast_assets.quality.policies.policy import load_policy

    load_settings()
    p = load_policy(policy_name)
    notes = p.notes(evidence_types().names())
    if as_json:
        print_json(p.model_dump(exclude_defaults=True) | {"notes": notes})
        return
    output.print(Text(f"{p.label}: {p.description}" if p.description else p.label), soft_wrap=True)
    table = _make_table("column", "must be", "reject reason", "missing value")
    for rule in p.rules:
        table.add_row(
            Text(rule.column), Text(rule.describe()), Text(rule.reason), "passes" if rule.nulls_pass else "fails"
        )
    output.print(table)
    for note in notes:
        print_line((note, "yellow"))


@policy.command("try")
@click.argument("policy_name", metavar="FILE_OR_NAME")
@click.option(
    "--batch", "batches", multiple=True, help="Batch to try it on; may be repeated. Default: all scored batches."
)
@_JSON
@STORE
def try_on_batches(policy_name: str, batches: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Compare, in hours, what a policy would keep of scored batches with what is kept now. Nothing is changed."""
    from podcast_assets.quality.policies.policy import load_policy
    from podcast_assets.quality.policies.trial import try_policy

    settings = load_settings(store=store)
    p = load_policy(policy_name)
    trial = try_policy(open_store(settings), p, batches or None)
    if not trial.batches:
        why = "; ".join(trial.notes) or "there are no batches"
        raise Misconfigured(
            f"no batch in the store {settings.store} has scores ({why}): materialize quality_scores first"
        )
    if as_json:
        print_json(trial.to_json())
        return
    _print_trial(trial)
    if settings.policy != policy_name:
        print_line(f"to apply it: set PODCAST_POLICY={policy_name} and materialize quality_scores; no model runs")


def _print_trial(trial: "PolicyTrial") -> None:
    count = f"{len(trial.batches)} batches" if len(trial.batches) > 1 else f"batch {trial.batches[0]}"
    in_force = ", ".join(trial.in_force) or "none"
    output.print(
        Text(f"{trial.policy} tried on {count}; in force now: {in_force}. Nothing is changed."),
        soft_wrap=True,
    )
    unit = _unit(trial)
    table = _make_table("", "segments", unit, "of all")
    for name, amount in (
        ("all", trial.everything),
        (f"kept by {trial.policy}", trial.kept),
        (f"kept now ({in_force})", trial.kept_in_force),
        ("  would be kept in addition", trial.gained),
        ("  would no longer be kept", trial.lost),
    ):
        table.add_row(
            Text(name),
            f"{amount.segments:,}",
            _format_hours(unit, amount.hours),
            _format_share(amount, trial.everything),
        )
    output.print(table)
    if trial.losses.height:
        _print_losses(trial)
    for note in trial.notes:
        print_line((note, "yellow"))


def _print_losses(trial: "PolicyTrial") -> None:
    """Print what each reason rejects of what the reasons above it leave."""
    unit = _unit(trial)
    table = _make_table(f"{unit}, by reason in the policy's order", "takes", "leaves", "alone", "in all", "segments")
    left = trial.everything.hours
    for row in trial.losses.iter_rows(named=True):
        left -= row["first_hours"]
        hours = (row["first_hours"], max(left, 0.0), row["own_hours"], row["hours"])
        table.add_row(Text(row["reason"]), *(_format_hours(unit, h) for h in hours), f"{row['segments']:,}")
    output.print(table)
    output.print(
        "takes: rejected by this reason and by none above it. alone: rejected by this reason only. "
        "in all, segments: rejected by this reason, also together with others.",
        style="dim",
    )


def _unit(trial: "PolicyTrial") -> str:
    return "hours" if trial.everything.hours >= 1 else "minutes"


def _format_hours(unit: str, hours: float) -> str:
    return f"{hours if unit == 'hours' else 60 * hours:,.2f}"


def _format_share(part: "SpeechAmount", whole: "SpeechAmount") -> str:
    return f"{part.hours / whole.hours:.1%}" if whole.hours else ""


def _make_table(*columns: str) -> Table:
    return make_table(*columns, numbers=_NUMBERS, no_wrap=_NUMBERS)
