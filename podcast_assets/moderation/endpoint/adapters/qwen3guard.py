"""Adapter `qwen3guard`: Qwen3Guard-Gen 0.6B, 4B and 8B, whose chat template has the categories; 119 languages.

It answers `Safety: Safe|Controversial|Unsafe` and `Categories: …`. A policy says in its engine options which categories belong to
which label. https://huggingface.co/Qwen/Qwen3Guard-Gen-8B
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.adapters.answer import (
    Answer,
    Unreadable,
    begins,
    quote,
    require_text,
    share,
    token_after,
)
from podcast_assets.moderation.endpoint.adapters.content import isolate
from podcast_assets.moderation.endpoint.adapters.taxonomy import check_categories, label_probabilities
from podcast_assets.moderation.protocol import ModerationPolicy, Window

CATEGORIES = (
    "Violent",
    "Non-violent Illegal Acts",
    "Sexual Content or Sexual Acts",
    "PII",
    "Suicide & Self-Harm",
    "Unethical Acts",
    "Politically Sensitive Topics",
    "Copyright Violation",
    "Jailbreak",
)
_SAFETY = re.compile(r"^Safety:[ \t]*(Safe|Controversial|Unsafe)[ \t]*$", re.MULTILINE)
_CATEGORIES = re.compile(r"^Categories:[ \t]*(.+?)[ \t]*$", re.MULTILINE)


class Qwen3Guard(Adapter):
    """Options of the adapter."""

    name: ClassVar[str] = "qwen3guard"
    default_model: ClassVar[str | None] = "Qwen/Qwen3Guard-Gen-8B"
    context: ClassVar[int] = 32_768
    template_tokens: ClassVar[int] = 2_048  # its categories

    categories: Mapping[str, str] = Field(default_factory=dict)
    """Category → slug of a label."""
    controversial: Literal["unsafe", "safe"] = "unsafe"
    """What content counts as that the model calls controversial."""

    def check(self, policy: ModerationPolicy) -> None:
        """See `Adapter.check`."""
        check_categories(self.name, policy, self.categories, CATEGORIES)

    def questions(self, window: Window, policy: ModerationPolicy) -> tuple[Question, ...]:
        """One question for all labels."""
        labels = tuple(label.slug for label in policy.labels)
        return (Question.chat(labels, [("user", isolate(window.text))], 128),)

    def read(self, question: Question, answer: Answer, policy: ModerationPolicy) -> dict[str, float]:
        """The probability of `Unsafe` (and `Controversial`) for the labels of the categories that it names, 0 for all others.

        The verdict counts as certain if the server gives no log-probabilities.
        """
        text = require_text(answer)
        safety, listed = _SAFETY.search(text), _CATEGORIES.search(text)
        if safety is None or listed is None or answer.finish == "length":
            raise Unreadable(f"the answer is {quote(text)} and not a line Safety and a line Categories")
        named = [name.strip() for name in listed[1].split(",")]
        if unknown := sorted(set(named) - {*CATEGORIES, "None"}):
            raise Unreadable(f"the answer names the category {quote(unknown[0])}, which does not exist")
        unsafe = ["Unsafe", "Controversial"] if self.controversial == "unsafe" else ["Unsafe"]
        safe = ["Safe"] if self.controversial == "unsafe" else ["Safe", "Controversial"]
        probability = float(safety[1] in unsafe)
        if token := token_after(answer, "Safety:"):
            probability = share(token.alternatives, lambda t: begins(t, unsafe), lambda t: begins(t, safe))
        if safety[1] in unsafe and named == ["None"]:
            raise Unreadable(f"the answer is {safety[1].lower()} without a category")
        return label_probabilities(
            question.labels, self.categories, probability, named if safety[1] in unsafe else None
        )
