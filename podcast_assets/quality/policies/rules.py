"""Rules of a policy: a condition on a column, and the reason given to segments that fail it."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

Value = bool | int | float | str
GROUPS = {"batch": [], "episode": ["episode_id"], "speaker": ["episode_id", "speaker"]}
"""Group of `per` → columns that identify a group. Speaker labels are valid inside an episode only."""


class Rule(BaseModel):
    """Condition on a column. All given operators must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    reason: str = Field(min_length=1)
    """Description of what is wrong with a segment that fails."""
    minimum: FiniteFloat | None = None
    maximum: FiniteFloat | None = None
    above: FiniteFloat | None = None
    """As `minimum`, but the limit itself fails."""
    below: FiniteFloat | None = None
    """As `maximum`, but the limit itself fails."""
    one_of: tuple[Value, ...] | None = Field(default=None, min_length=1)
    none_of: tuple[Value, ...] | None = Field(default=None, min_length=1)
    """In a column of lists, no item may be one of these."""
    same_as: str | None = None
    """Another column that must have the same value."""
    not_empty: bool = False
    """A text must contain more than white space."""
    within_iqr: FiniteFloat | None = Field(default=None, ge=0)
    """Inter-quartile ranges by which a value may lie below the first or above the third quartile (Tukey's fences)."""
    per: Literal["batch", "episode", "speaker"] | None = None
    """Group whose quartiles `within_iqr` uses: the segments of the same batch, episode or speaker of an episode that pass all
    preceding rules. Other segments, and per speaker those of unknown speakers, pass."""
    at_least: int = Field(default=1, ge=1)
    """Fewest values of a group for `within_iqr`; smaller groups pass."""
    nulls_pass: bool = False
    """Whether a missing value (null, or NaN) passes."""
    optional: bool = False
    """Without such a column, the rule is inactive, with a note, instead of an error."""

    @model_validator(mode="after")
    def _check_operators(self) -> "Rule":
        if not list(self._given_operators()):
            raise ValueError(f"the rule on {self.column!r} needs one of {', '.join(OPERATORS)}")
        if (self.within_iqr is None) != (self.per is None):
            raise ValueError(f"the rule on {self.column!r} needs within_iqr and per together")
        least = max((x for x in (self.minimum, self.above) if x is not None), default=None)
        most = min((x for x in (self.maximum, self.below) if x is not None), default=None)
        if least is not None and most is not None and least > most:
            raise ValueError(f"the rule on {self.column!r} lets nothing pass: at least {least:g} and at most {most:g}")
        return self

    def _given_operators(self) -> Iterator[str]:
        given = ((name, getattr(self, name)) for name in OPERATORS)
        return (name for name, value in given if value is not None and value is not False)  # 0.0 is a limit too

    @property
    def columns(self) -> list[str]:
        """Names of the columns that the rule reads."""
        return [self.column, *([self.same_as] if self.same_as else []), *(GROUPS[self.per] if self.per else [])]

    def type_mismatch(self, types: pl.Schema) -> str | None:
        """Describe why the rule does not fit columns of these types; None if it fits."""
        dtype = types[self.column]
        for name in self._given_operators():
            kind, fits = _FITS[name]
            if not fits(dtype):
                return f"{name} applies to {kind}, but {self.column} has the type {dtype}"
        inner = dtype.inner if isinstance(dtype, pl.List) else dtype
        for item in (*(self.one_of or ()), *(self.none_of or ())):
            if inner != pl.Null and not _value_fits_type(item, inner):
                return f"{item!r} cannot be in {self.column}, which has the type {dtype}"
        if self.same_as and types[self.same_as] != dtype:
            return f"{self.column} and {self.same_as} are of different types"
        return None

    def describe(self) -> str:
        """Describe the condition in words."""
        return ", ".join(_WORDS[name](self) for name in self._given_operators())

    def passes(self, types: pl.Schema, before: pl.Expr) -> pl.Expr:
        """Return the condition as a boolean expression, never null.

        Args:
            types: types of the table's columns.
            before: whether a segment passes all preceding rules.
        """
        column = pl.col(self.column)
        number = column.cast(pl.Float64).fill_nan(None) if _is_number(types[self.column]) else column
        conditions = [_CONDITIONS[name](self, number) for name in self._given_operators() if name in _CONDITIONS]
        if self.none_of is not None:
            lists = isinstance(types[self.column], pl.List)
            conditions += [~column.list.contains(i) if lists else column != i for i in self.none_of]
        if self.same_as is not None:
            conditions.append(column == pl.col(self.same_as))
        if self.within_iqr is not None:
            conditions.append(self._is_within_iqr(number, before))
        return pl.all_horizontal(conditions).fill_null(self.nulls_pass)

    def _is_within_iqr(self, value: pl.Expr, before: pl.Expr) -> pl.Expr:
        keys = GROUPS[self.per or "batch"]
        counted = pl.when(before).then(value)

        def of_group(statistic: pl.Expr) -> pl.Expr:
            return statistic.over(keys) if keys else statistic

        first, third = (of_group(counted.quantile(q, interpolation="linear")) for q in (0.25, 0.75))
        reach = (self.within_iqr or 0.0) * (third - first)
        judged = before & (of_group(counted.count()) >= self.at_least) & first.is_not_null()
        if self.per == "speaker":
            judged &= pl.col("speaker").is_not_null()
        return pl.when(judged).then(value.is_between(first - reach, third + reach)).otherwise(True)


OPERATORS = tuple("minimum maximum above below one_of none_of same_as not_empty within_iqr".split())
"""Names of the operators, in the order of descriptions."""


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean or dtype == pl.Null


def _is_text(dtype: pl.DataType) -> bool:
    return dtype == pl.String or dtype == pl.Null


def _is_scalar(dtype: pl.DataType) -> bool:
    return not dtype.is_nested()


def _is_scalar_or_list(dtype: pl.DataType) -> bool:
    return not dtype.is_nested() or isinstance(dtype, pl.List)


def _value_fits_type(item: Value, dtype: Any) -> bool:
    if isinstance(item, bool):
        return dtype == pl.Boolean
    return dtype == pl.String if isinstance(item, str) else dtype.is_numeric()


_FITS: dict[str, tuple[str, Callable[[pl.DataType], bool]]] = {
    **dict.fromkeys(("minimum", "maximum", "above", "below", "within_iqr"), ("numbers", _is_number)),
    "one_of": ("single values", _is_scalar),
    "none_of": ("single values and lists", _is_scalar_or_list),
    "same_as": ("single values", _is_scalar),
    "not_empty": ("texts", _is_text),
}
"""Operator → the kind of values that it applies to, and whether a type is of that kind."""


_CONDITIONS: dict[str, Callable[[Rule, pl.Expr], Any]] = {
    "minimum": lambda rule, column: column >= rule.minimum,
    "maximum": lambda rule, column: column <= rule.maximum,
    "above": lambda rule, column: column > rule.above,
    "below": lambda rule, column: column < rule.below,
    "one_of": lambda rule, column: pl.any_horizontal([column == item for item in rule.one_of or ()]),
    "not_empty": lambda rule, column: column.str.strip_chars() != "",
}
"""Operators on a single value of a column."""


def _format_values(values: tuple[Value, ...] | None) -> str:
    return ", ".join(map(str, values or ()))


_WORDS: dict[str, Callable[[Rule], Any]] = {
    "minimum": lambda rule: f"at least {rule.minimum:g}",
    "maximum": lambda rule: f"at most {rule.maximum:g}",
    "above": lambda rule: f"above {rule.above:g}",
    "below": lambda rule: f"below {rule.below:g}",
    "one_of": lambda rule: f"one of {_format_values(rule.one_of)}",
    "none_of": lambda rule: f"none of {_format_values(rule.none_of)}",
    "same_as": lambda rule: f"the same as {rule.same_as}",
    "not_empty": lambda rule: "not empty",
    "within_iqr": lambda rule: (
        f"within {rule.within_iqr:g} inter-quartile ranges of the quartiles of its {rule.per}"
        + (f" (of {rule.at_least} segments or more)" if rule.at_least > 1 else "")
    ),
}
