"""What questions cost, and the cap on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.moderation.endpoint.adapters.adapter import Question
from podcast_assets.moderation.protocol import Usage


class BudgetSpent(EngineUnavailable):
    """The run has spent what it may spend."""


@dataclass(frozen=True)
class Prices:
    """USD per million tokens; None if unknown."""

    tokens_in: float | None = None
    tokens_out: float | None = None

    def price(self, tokens_in: int, tokens_out: int) -> float | None:
        """USD of so many tokens; None if no price is known."""
        if self.tokens_in is None and self.tokens_out is None:
            return None
        return (tokens_in * (self.tokens_in or 0.0) + tokens_out * (self.tokens_out or 0.0)) / 1e6


@dataclass
class Spending:
    """What was spent since the worker was loaded, with the questions that are not answered yet. Used by several threads."""

    prices: Prices
    budget: float | None = None
    """USD."""
    spent: float = 0.0
    _reserved: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reserve(self, question: Question) -> Iterator[None]:
        """Hold the most that a question may cost while it is asked.

        Raises:
            BudgetSpent: it might exceed the budget.
        """
        # a token has at least one byte, and three or four as a rule: an estimate, so that a budget is nearly used up
        most = self.prices.price(len(question.text.encode()) // 3, question.answer_tokens) or 0.0
        with self._lock:
            if self.budget is not None and self.spent + self._reserved + most > self.budget:
                raise BudgetSpent(
                    f"PODCAST_MODERATION_BUDGET={self.budget:g} USD is used up: {self.spent:.4f} USD were spent by this run, and "
                    "the next question may cost more than is left. All answers are kept: raise it, then run again to go on"
                )
            self._reserved += most
        try:
            yield
        finally:
            with self._lock:
                self._reserved -= most

    def add(self, tokens_in: int, tokens_out: int, seconds: float) -> Usage:
        """Count an answer."""
        price = self.prices.price(tokens_in, tokens_out)
        with self._lock:
            self.spent += price or 0.0
        return Usage(tokens_in, tokens_out, seconds, price)
