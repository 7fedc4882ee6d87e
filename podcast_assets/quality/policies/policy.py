"""Quality policies: which segments to keep, and why others are rejected. A policy is a TOML file; it deletes nothing.

A file names the policy, its version, and rules; docs/guides/policies.md says how to write one:

    name = "mine"
    version = 1

    [[rules]]
    column = "dnsmos_ovrl"    # of the tables of segments, transcripts or scores
    minimum = 3.0
    reason = "sounds bad"
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.fingerprint import fingerprint
from podcast_assets.quality.policies.evidence import EVIDENCE, evidence_types
from podcast_assets.quality.policies.rules import Rule
from podcast_assets.store.schema import schema
from podcast_assets.store.schema_beside import REVIEWED

__all__ = ["Policy", "Rule", "apply_policy", "load_policy", "policy_names"]


_WHY_EMPTY = {"language_probability": " (engines for one language, such as Whisper's .en models, identify none)"}
"""Column → why it may have no value, for people."""


class Policy(BaseModel):
    """Policy: a segment must pass all rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    version: int
    description: str = ""
    """Purpose of the policy in one line."""
    scores: tuple[str, ...] = ()
    """Names of scores of other scorers (`more_scores`) that rules use like columns."""
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _scores_are_no_columns(self) -> "Policy":
        if taken := sorted(set(self.scores).intersection(EVIDENCE)):
            raise ValueError(f"scores names columns that every table has: {', '.join(taken)}")
        return self

    @property
    def digest(self) -> str:
        """Digest of the rules, 16 hexadecimal digits: policies of the same name and version may differ."""
        return fingerprint(rules=[rule.model_dump(mode="json") for rule in self.rules])[:16]

    @property
    def label(self) -> str:
        """Name and version, as in the column `policy`: `asr-v1`."""
        return f"{self.name}-v{self.version}"

    @property
    def reasons(self) -> list[str]:
        """All reasons of the policy, in order."""
        return list(dict.fromkeys(rule.reason for rule in self.rules))

    @property
    def limits(self) -> dict[str, list[float]]:
        """Column → limits of the rules, for plots."""
        found: dict[str, list[float]] = {}
        for rule in self.rules:
            given = (rule.minimum, rule.above, rule.maximum, rule.below)
            found.setdefault(rule.column, []).extend(limit for limit in given if limit is not None)
        return {column: limits for column, limits in found.items() if limits}

    def active_rules(self, columns: Iterable[str]) -> list[Rule]:
        """Return the rules that apply: all but those on missing columns that are optional or of what people reviewed."""
        known = set(columns)
        return [
            rule
            for rule in self.rules
            if not (rule.optional or not REVIEWED.keys().isdisjoint(rule.columns)) or known.issuperset(rule.columns)
        ]

    def on_reviews(self) -> "Policy":
        """Return the policy with its rules on what people reviewed only."""
        return self.model_copy(
            update={"rules": tuple(r for r in self.rules if not REVIEWED.keys().isdisjoint(r.columns))}
        )

    def notes(self, columns: Iterable[str]) -> list[str]:
        """Return one line for each rule that is inactive because its column is missing."""
        known = list(columns)
        active = self.active_rules(known)
        on_reviews = self.on_reviews().rules
        return [
            f"rule {rule.reason!r} applies to releases, because it is about what people reviewed"
            if rule in on_reviews
            else f"rule {rule.reason!r} is inactive: there is no column "
            f"{_names_with_hints([c for c in rule.columns if c not in known], known)}"
            for rule in self.rules
            if rule not in active
        ]

    def notes_on_values(self, evidence: pl.DataFrame) -> list[str]:
        """Return one line for each rule that rejects every segment because its column has no value in any of them."""
        if evidence.is_empty():
            return []
        return [
            f"rule {rule.reason!r} rejects every segment of some batches, because nothing there has a value of "
            f"{rule.column}{_WHY_EMPTY.get(rule.column, '')}; nulls_pass = true in a copy of the policy lets such segments pass"
            for rule in self.active_rules(evidence.columns)
            if not rule.nulls_pass and rule.column in evidence.columns and evidence[rule.column].is_null().all()
        ]

    def check(self, types: pl.Schema) -> None:
        """Check that the rules fit columns of these types.

        Raises:
            Misconfigured: a rule that is not optional uses a column that does not exist, or does not fit the column's type.
        """
        active = self.active_rules(types.names())
        missing = sorted({c for rule in active for c in rule.columns}.difference(types.names()))
        if unscored := [name for name in missing if name in self.scores]:
            raise Misconfigured(
                f"the policy {self.label} asks for the scores {', '.join(unscored)}, which no scorer returned: "
                "add a scorer to PODCAST_SCORERS, or make the rule optional (optional = true)"
            )
        if missing:
            raise Misconfigured(
                f"the policy {self.label} needs columns that do not exist: {_names_with_hints(missing, types.names())}"
            )
        for rule in active:
            if why := rule.type_mismatch(types):
                raise Misconfigured(f"the policy {self.label}, rule {rule.reason!r}: {why}")


def apply_policy(segments: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """Add `keep` (boolean) and `reject_reasons` (the reasons of all failed rules, in order) to segments.

    Raises:
        Misconfigured: see `Policy.check`.
    """
    if segments.is_empty():  # without segments, the scorers have returned no names
        none = [pl.lit(None, pl.Float64).alias(name) for name in policy.scores if name not in segments.columns]
        judged = _apply_rules(segments.with_columns(none), policy)
        return judged.select(*segments.columns, "keep", "reject_reasons")
    return _apply_rules(segments, policy)


def _apply_rules(segments: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    policy.check(segments.schema)
    rules = policy.active_rules(segments.columns)
    names = [f"passes rule {number}" for number in range(len(rules))]
    judged = segments
    for number, rule in enumerate(rules):
        before = pl.all_horizontal([pl.lit(value=True), *names[:number]])
        judged = judged.with_columns(rule.passes(segments.schema, before).alias(names[number]))
    reasons = [pl.when(~pl.col(n)).then(pl.lit(rule.reason)) for n, rule in zip(names, rules, strict=True)]
    rejected = (
        pl.concat_list(reasons).list.drop_nulls().list.unique(maintain_order=True)
        if reasons
        else pl.lit([], dtype=pl.List(pl.String))
    )
    return (
        judged.with_columns(reject_reasons=rejected)
        .with_columns(keep=pl.col("reject_reasons").list.len() == 0)
        .drop(names)
    )


def policy_names() -> list[str]:
    """Return the names of the policies in the package."""
    return sorted(file.name.removesuffix(".toml") for file in _policy_folder().iterdir() if file.name.endswith(".toml"))


def load_policy(name: str | Path) -> Policy:
    """Load a policy by name, or from a TOML file (a path that ends in `.toml`).

    Raises:
        Misconfigured: there is none of that name, the file cannot be read, is not a policy, or uses a column that does not exist.
    """
    if str(name).endswith(".toml"):
        file = Path(name)
    elif str(name) in policy_names():
        file = _policy_folder() / f"{name}.toml"
    else:
        raise Misconfigured(
            f"there is no policy {str(name)!r}{_suggest_name(str(name), policy_names())}; available: {', '.join(policy_names())}, "
            "and files whose names end in .toml"
        )
    try:
        policy = Policy.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig")))  # Notepad writes a BOM
    except OSError as error:
        raise Misconfigured(f"the policy {name} cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"the policy {name} is not TOML: {error}") from None
    except ValidationError as error:
        raise Misconfigured(
            f"the policy {name} is not valid: {_describe_validation_error(error.errors()[0])}"
        ) from None
    scores = dict.fromkeys(policy.scores, pl.Float64())
    policy.check(pl.Schema({**evidence_types(), **schema(REVIEWED), **scores}))
    if (
        str(name).endswith(".toml")
        and policy.name in policy_names()
        and policy.digest != load_policy(policy.name).digest
    ):
        raise Misconfigured(
            f"the policy {name} has the name {policy.name!r} of a policy in the package but other rules: give it another name"
        )
    return policy


def _describe_validation_error(error: Mapping[str, Any]) -> str:
    """Describe a validation error, with rules counted from 1 and the closest match for an unknown name."""
    where = [f"rule {part + 1}" if isinstance(part, int) else str(part) for part in error["loc"] if part != "rules"]
    if error["type"] == "extra_forbidden":
        known, what = (Rule, "a rule has no") if "rules" in error["loc"] else (Policy, "a policy has no")
        place = f"{where[0]}: " if len(where) > 1 else ""
        return f"{place}{what} {where[-1]!r}{_suggest_name(where[-1], known.model_fields)}"
    if error["type"] == "tuple_type":
        what = (
            "rules are written as [[rules]], each with its column"
            if "rules" in error["loc"][-1:]
            else "must be a list, such as [1, 2]"
        )
        return f"{' '.join(where[:2])}: {what}".removeprefix(": ")
    return f"{' '.join(where[:2]) or 'it'}: {error['msg'].removeprefix('Value error, ')}"


def _names_with_hints(names: list[str], known: Iterable[str]) -> str:
    known = list(known)
    return ", ".join(f"{name}{_suggest_name(name, known)}" for name in names)


def _suggest_name(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _policy_folder() -> Traversable:
    return files("podcast_assets.quality") / "policies"
