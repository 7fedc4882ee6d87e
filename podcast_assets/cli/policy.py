"""`podcast-assets policy list`, `show`, `try`: list quality policies and try them on scored batches."""

import json
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table
from rich.text import Text

from podcast_assets.cli.terminal import STORE, load_settings, output, print_line
from podcast_assets.common.errors import Misconfigured

if TYPE_CHECKING:
    from podcast_assets.quality.policies.trial import PolicyTrial, SpeechAmount

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


_NUMBERS = ("rules", "segments", "of all", "hours", "minutes", "takes", "leaves", "alone", "in all")


@click.group()
def policy() -> None:
    """List, show and try quality policies, which decide which segments are kept. Changing the policy reruns no model."""


@policy.command("list")
@JSON
def list_policies(as_json: bool) -> None:
    """List the policies of the package, and the one set by PODCAST_POLICY."""
    from podcast_assets.quality.policies.policy import load_policy, policy_names

    chosen = load_settings().policy
    found = {name: load_policy(name) for name in policy_names()}
    if chosen not in found:
        found[chosen] = load_policy(chosen)
    if as_json:
        rows = [
            {
                "name": p.name,
                "version": p.version,
                "rules": len(p.rules),
                "description": p.description,
                "chosen": n == chosen,
            }
            for n, p in found.items()
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = _make_table("policy", "rules", "what it is")
    for name, p in found.items():
        mark = Text.assemble(p.label, (" chosen", "green") if name == chosen else "")
        table.add_row(mark, str(len(p.rules)), Text(p.description))
    output.print(table)


@policy.command()
@click.argument("policy_name", metavar="FILE_OR_NAME")
@JSON
def show(policy_name: str, as_json: bool) -> None:
    """Print the rules of a policy in order."""
    from podcast_assets.quality.policies.evidence import evidence_types
    from podcast_assets.quality.policies.policy import load_policy

    p = load_policy(policy_name)
    notes = p.notes(evidence_types().names())
    if as_json:
        click.echo(json.dumps(p.model_dump(exclude_defaults=True) | {"notes": notes}, ensure_ascii=False))
        return
    output.print(Text(f"{p.label}: {p.description}" if p.description else p.label), soft_wrap=True)
    table = _make_table("column", "must be", "else the reason is", "missing value")
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
@JSON
@STORE
def try_it(policy_name: str, batches: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Compare, in hours, what a policy would keep of scored batches with what is kept now. Nothing is changed."""
    from podcast_assets.quality.policies.policy import load_policy
    from podcast_assets.quality.policies.trial import try_policy
    from podcast_assets.store.store import Store

    settings = load_settings(store=store)
    p = load_policy(policy_name)
    trial = try_policy(Store.at(settings.store), p, batches or None)
    if not trial.batches:
        why = "; ".join(trial.notes) or "none is there"
        raise Misconfigured(
            f"no batch of the store {settings.store} has scores ({why}): materialize quality_scores first"
        )
    if as_json:
        click.echo(json.dumps(trial.to_json(), ensure_ascii=False))
        return
    _print_trial(trial)
    if settings.policy != policy_name:
        print_line(f"to apply it: PODCAST_POLICY={policy_name}, then materialize quality_scores; no model runs")


def _print_trial(trial: "PolicyTrial") -> None:
    count = f"{len(trial.batches)} batches" if len(trial.batches) > 1 else f"batch {trial.batches[0]}"
    in_force = ", ".join(trial.in_force) or "none"
    output.print(
        Text(f"{trial.policy} tried on {count}, judged by {in_force} now. Nothing is changed."), soft_wrap=True
    )
    unit = _unit(trial)
    table = _make_table("", "segments", unit, "of all")
    for name, amount in (
        ("all", trial.everything),
        (f"kept by {trial.policy}", trial.kept),
        (f"kept now ({in_force})", trial.kept_in_force),
        ("  would be kept anew", trial.gained),
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
    """Print the waterfall of losses: each reason after those above it."""
    unit = _unit(trial)
    table = _make_table(f"{unit}, by reason in the policy's order", "takes", "leaves", "alone", "in all", "segments")
    left = trial.everything.hours
    for row in trial.losses.iter_rows(named=True):
        left -= row["first_hours"]
        hours = (row["first_hours"], max(left, 0.0), row["own_hours"], row["hours"])
        table.add_row(Text(row["reason"]), *(_format_hours(unit, h) for h in hours), f"{row['segments']:,}")
    output.print(table)
    output.print(
        "takes: of what the reasons above leave. alone: no other reason, kept if the rule were not there. "
        "in all, segments: with this reason, among others or not.",
        style="dim",
    )


def _unit(trial: "PolicyTrial") -> str:
    return "hours" if trial.everything.hours >= 1 else "minutes"


def _format_hours(unit: str, hours: float) -> str:
    return f"{hours if unit == 'hours' else 60 * hours:,.2f}"


def _format_share(part: "SpeechAmount", whole: "SpeechAmount") -> str:
    return f"{part.hours / whole.hours:.1%}" if whole.hours else ""


def _make_table(*columns: str) -> Table:
    """Make a table in which names are shortened before numbers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        numbers = name in _NUMBERS
        table.add_column(name, justify="right" if numbers else "left", no_wrap=numbers, overflow="fold")
    return table
