"""Adapter `cope-b`: CoPE-B-A4B, by chat completions: without its chat template it is measurably worse."""

from typing import ClassVar

from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.adapters.answer import Answer, binary_probability
from podcast_assets.moderation.endpoint.adapters.cope import build_prompt
from podcast_assets.moderation.protocol import ModerationPolicy, Window


class CopeB(Adapter):
    """Options of the adapter."""

    name: ClassVar[str] = "cope-b"
    default_model: ClassVar[str | None] = "zentropi-ai/cope-b-a4b"
    context: ClassVar[int] = 262_144

    headings: bool = False
    """Whether the prompt has the headings INSTRUCTIONS and ANSWER; both forms are in use, and the model's page has none."""

    def questions(self, window: Window, policy: ModerationPolicy) -> tuple[Question, ...]:
        """One question per label."""
        prompts = {
            label.slug: build_prompt(policy, label, window.text, headings=self.headings) for label in policy.labels
        }
        return tuple(Question.chat((slug,), [("user", prompt)], 1) for slug, prompt in prompts.items())

    def read(self, question: Question, answer: Answer, policy: ModerationPolicy) -> dict[str, float]:
        """p(1) / (p(0) + p(1)); any other token is no answer."""
        return {question.labels[0]: binary_probability(answer, "1", "0")}
