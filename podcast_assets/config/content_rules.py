"""Parser of rules about content flags, such as `hate_speech > 0.5, profanity.profanity >= 0.9, needs_review`."""

import re
from dataclasses import dataclass

VERDICTS = ("flagged", "needs_review", "not_judged")
"""Verdicts that rules can name; `flagged` is any flagged label."""
_RULE = re.compile(
    r"(?:(?P<policy>[a-z0-9][a-z0-9_-]*)\.)?(?P<target>[^\W\d]\w*)\s*(?:(?P<operator>>=|>)\s*(?P<limit>\d*\.?\d+))?"
)


@dataclass(frozen=True)
class ContentRule:
    """A rule: a segment fulfils it if any label of any policy that it names does."""

    text: str
    """The rule as it was written, with single spaces."""
    policy: str | None
    """Name of the moderation policy; None: any."""
    target: str
    """Slug of a label, or one of `VERDICTS`."""
    limit: float | None = None
    """Probability, 0 to 1; None: the verdict is `flagged`, or the one that `target` names."""
    inclusive: bool = False
    """Whether the limit itself fulfils the rule."""

    @property
    def is_verdict(self) -> bool:
        """Whether the rule names a verdict in place of a label."""
        return self.target in VERDICTS


def parse_content_rules(text: str) -> tuple[ContentRule, ...]:
    """Parse rules separated by commas.

    `label > 0.5` and `label >= 0.5` compare the probability, `label` alone means that the label is flagged by the policy's own
    threshold, and `flagged`, `needs_review` and `not_judged` name a verdict of any label. Each may begin with `policy.`.

    Raises:
        ValueError: a rule is not written like this.
    """
    return tuple(_parse_rule(part) for part in filter(None, (p.strip() for p in text.split(","))))


def _parse_rule(text: str) -> ContentRule:
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(
            f"{text!r} is not a rule about content flags; write label > 0.5, policy.label >= 0.5, a label alone, or one of "
            f"{', '.join(VERDICTS)}"
        )
    limit = None if match["limit"] is None else float(match["limit"])
    if limit is not None and limit > 1:
        raise ValueError(f"{text!r}: a probability is between 0 and 1")
    if limit is not None and match["target"] in VERDICTS:
        raise ValueError(f"{text!r}: {match['target']} is a verdict and has no probability")
    return ContentRule(" ".join(text.split()), match["policy"], match["target"], limit, match["operator"] == ">=")
