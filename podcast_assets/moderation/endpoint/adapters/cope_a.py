"""Adapter `cope-a`: CoPE-A-9B, a raw completion of one token by the base model Gemma 2 9B with CoPE's adapter merged."""

from typing import ClassVar

from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.adapters.answer import Answer, binary_probability
from podcast_assets.moderation.endpoint.adapters.cope import build_prompt
from podcast_assets.moderation.protocol import ModerationPolicy, Window


class CopeA(Adapter):
    """Options of the adapter: none."""

    name: ClassVar[str] = "cope-a"
    default_model: ClassVar[str | None] = "zentropi-ai/cope-a-9b"
    template_tokens: ClassVar[int] = 2  # <bos>

    def questions(self, window: Window, policy: ModerationPolicy) -> tuple[Question, ...]:
        """One question per label."""
        return tuple(
            Question(
                (label.slug,),
                "completions",
                {
                    "prompt": build_prompt(policy, label, window.text),
                    "max_tokens": 1,
                    "temperature": 0,
                    "logprobs": 5,  # at least 2; 5 is the most that servers allow
                },
            )
            for label in policy.labels
        )

    def read(self, question: Question, answer: Answer, policy: ModerationPolicy) -> dict[str, float]:
        """p(1) / (p(0) + p(1)); any other token is no answer."""
        return {question.labels[0]: binary_probability(answer, "1", "0")}
