"""Adapter `llama-guard`: Llama Guard 3 and 4, whose chat template has the categories S1 to S14.

It answers `safe`, or `unsafe` and the categories in the next line. The categories are the model's own: a policy says in its engine
options which of them belong to which label. https://huggingface.co/meta-llama/Llama-Guard-4-12B
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.adapters.answer import (
    Answer,
    Unreadable,
    begins,
    quote,
    require_text,
    share,
)
from podcast_assets.moderation.endpoint.adapters.content import isolate
from podcast_assets.moderation.endpoint.adapters.taxonomy import check_categories, label_probabilities
from podcast_assets.moderation.protocol import ModerationPolicy, Window

CATEGORIES = {
    "S1": "Violent Crimes",
    "S2": "Non-Violent Crimes",
    "S3": "Sex-Related Crimes",
    "S4": "Child Sexual Exploitation",
    "S5": "Defamation",
    "S6": "Specialized Advice",
    "S7": "Privacy",
    "S8": "Intellectual Property",
    "S9": "Indiscriminate Weapons",
    "S10": "Hate",
    "S11": "Suicide & Self-Harm",
    "S12": "Sexual Content",
    "S13": "Elections",
    "S14": "Code Interpreter Abuse",
}
_ANSWER = re.compile(r"\s*(?:safe\s*|unsafe\s*\n\s*(?P<codes>S\d{1,2}(?:\s*,\s*S\d{1,2})*)\s*)")


class LlamaGuard(Adapter):
    """Options of the adapter."""

    name: ClassVar[str] = "llama-guard"
    default_model: ClassVar[str | None] = "meta-llama/Llama-Guard-4-12B"
    context: ClassVar[int] = 131_072
    template_tokens: ClassVar[int] = 2_048  # its categories

    categories: Mapping[str, str] = Field(default_factory=dict)
    """Category, S1 to S14 → slug of a label."""

    def check(self, policy: ModerationPolicy) -> None:
        """See `Adapter.check`."""
        check_categories(self.name, policy, self.categories, CATEGORIES)

    def questions(self, window: Window, policy: ModerationPolicy) -> tuple[Question, ...]:
        """One question for all labels."""
        labels = tuple(label.slug for label in policy.labels)
        return (Question.chat(labels, [("user", isolate(window.text))], 64),)

    def read(self, question: Question, answer: Answer, policy: ModerationPolicy) -> dict[str, float]:
        """The probability of `unsafe` for the labels of the categories that it names, 0 for all others.

        The verdict counts as certain if the server gives no log-probabilities.
        """
        text = require_text(answer)
        match = _ANSWER.fullmatch(text)
        if match is None or answer.finish == "length":
            raise Unreadable(f"the answer is {quote(text)} and neither safe nor unsafe with categories")
        codes = re.findall(r"S\d{1,2}", match["codes"]) if match["codes"] else None
        if codes and (unknown := sorted(set(codes) - set(CATEGORIES))):
            raise Unreadable(f"the answer names the category {unknown[0]}, which does not exist")
        first = next((t for t in answer.tokens if t.text.strip()), None)
        unsafe = float(codes is not None)
        if first is not None:
            unsafe = share(first.alternatives, lambda t: begins(t, ["unsafe"]), lambda t: begins(t, ["safe"]))
        return label_probabilities(question.labels, self.categories, unsafe, codes)
