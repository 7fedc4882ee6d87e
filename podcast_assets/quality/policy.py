"""Policies: which segments to keep, and why not the others. A policy is data in a TOML file; it deletes nothing.

A file names the policy, its version, and rules:

    name = "mine"
    version = 1

    [[rules]]
    column = "dnsmos_ovrl"    # of the tables of segments, transcripts or scores
    minimum = 3.0             # or maximum, or both, or not_empty = true for text
    nulls_pass = false        # the default: a missing value fails
    reason = "sounds bad"
"""

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from podcast_assets.errors import Misconfigured


class Rule(BaseModel):
    """What a column must be. Limits are inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    reason: str
    """For people: what is wrong with a segment that fails."""
    minimum: float | None = None
    maximum: float | None = None
    not_empty: bool = False
    """A text must hold more than white space."""
    nulls_pass: bool = False

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Rule":
        if self.minimum is None and self.maximum is None and not self.not_empty:
            raise ValueError(f"the rule on {self.column!r} needs minimum, maximum or not_empty")
        return self

    def passes(self) -> pl.Expr:
        """Boolean expression, never null."""
        column = pl.col(self.column)
        conditions = []
        if self.not_empty:
            conditions.append(column.str.strip_chars() != "")
        if self.minimum is not None or self.maximum is not None:
            column = column.cast(pl.Float64).fill_nan(None)
        if self.minimum is not None:
            conditions.append(column >= self.minimum)
        if self.maximum is not None:
            conditions.append(column <= self.maximum)
        return pl.all_horizontal(conditions).fill_null(self.nulls_pass)


class Policy(BaseModel):
    """Rules that a segment must all pass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    rules: tuple[Rule, ...] = ()

    @property
    def label(self) -> str:
        """Name and version, as the column `policy` has them: `asr-v1`."""
        return f"{self.name}-v{self.version}"


def apply(segments: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The segments with `keep` (boolean) and `reject_reasons` (the reasons of all rules that failed, in their order).

    Raises:
        Misconfigured: a rule asks for a column that there is not.
    """
    if missing := sorted({rule.column for rule in policy.rules} - set(segments.columns)):
        raise Misconfigured(f"the policy {policy.label} asks for columns that there are not: {', '.join(missing)}")
    reasons = [pl.when(~rule.passes()).then(pl.lit(rule.reason)) for rule in policy.rules]
    rejected = pl.concat_list(reasons).list.drop_nulls() if reasons else pl.lit([], dtype=pl.List(pl.String))
    return segments.with_columns(reject_reasons=rejected).with_columns(keep=pl.col("reject_reasons").list.len() == 0)


def policy_names() -> list[str]:
    """The policies that come with the package."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))


def load_policy(name: str | Path) -> Policy:
    """A policy by its name, or from a TOML file of one's own (a path that ends in `.toml`).

    Raises:
        Misconfigured: there is none of that name, the file cannot be read, or is not a policy.
    """
    if str(name).endswith(".toml"):
        file = Path(name)
    elif str(name) in policy_names():
        file = _folder() / f"{name}.toml"
    else:
        raise Misconfigured(f"no policy is called {str(name)!r}; there are: {', '.join(policy_names())}")
    try:
        return Policy.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise Misconfigured(f"the policy {name} cannot be read: {error.strerror or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"the policy {name} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Misconfigured(f"the policy {name} is not one: {where or 'it'}: {first['msg']}") from None


def _folder() -> Traversable:
    return files("podcast_assets.quality") / "policies"
