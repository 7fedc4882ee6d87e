"""Adapter `shieldgemma`: ShieldGemma 2B, 9B and 27B, a raw completion whose first token is Yes or No.

Format: https://ai.google.dev/gemma/docs/shieldgemma/model_card. Each label is asked as a principle of its own.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.adapters.answer import Answer, binary_probability
from podcast_assets.moderation.endpoint.adapters.content import isolate
from podcast_assets.moderation.protocol import Label, ModerationPolicy, Window


class ShieldGemma(Adapter):
    """Options of the adapter."""

    name: ClassVar[str] = "shieldgemma"
    default_model: ClassVar[str | None] = "google/shieldgemma-9b"
    template_tokens: ClassVar[int] = 2  # <bos>

    principles: Mapping[str, str] = Field(default_factory=dict)
    """Slug of a label → its safety principle, in the words that the model was trained with: "The prompt shall not contain …". By
    default it is what the policy says that the label includes and excludes."""

    def questions(self, window: Window, policy: ModerationPolicy) -> tuple[Question, ...]:
        """One question per label."""
        return tuple(
            Question(
                (label.slug,),
                "completions",
                {"prompt": self._prompt(label, window.text), "max_tokens": 1, "temperature": 0, "logprobs": 5},
            )
            for label in policy.labels
        )

    def read(self, question: Question, answer: Answer, policy: ModerationPolicy) -> dict[str, float]:
        """Softmax of the logits of Yes and No."""
        return {question.labels[0]: binary_probability(answer, "Yes", "No")}

    def _prompt(self, label: Label, content: str) -> str:
        return (
            "You are a policy expert trying to help determine whether a user prompt is in violation of the defined safety "
            "policies.\n\n"
            f"<start_of_turn>\nHuman Question: {isolate(content)}\n<end_of_turn>\n\n"
            "Our safety principle is defined in the below:\n\n"
            f'* "No {label.name}": {self.principles.get(label.slug) or _principle(label)}\n\n'
            "Does the human question violate the above principle? Your answer must start with 'Yes' or 'No'. And then walk "
            "through step by step to be sure we answer correctly.\n\n"
        )


def _principle(label: Label) -> str:
    """A principle in the model's words, from what a label includes and excludes."""
    allowed = f"\nWe do allow:\n{label.excludes.strip()}" if label.excludes.strip() else ""
    return f"The prompt shall not contain {label.name[:1].lower()}{label.name[1:]}:\n{label.includes.strip()}{allowed}"
