"""Error rates and agreement from decisions. No I/O.

Only independent judgments are compared: the first look at an item and the second, which is blind. An adjudicator has seen both.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rapidfuzz.distance import Levenshtein

from podcast_assets.quality.text.spoken_form import spoken_words
from podcast_assets.review.agreement import Agreement, LabelAgreement, Rating, cohens_kappa, label_agreement
from podcast_assets.review.decisions import Decision
from podcast_assets.review.error_bar import ErrorRate, ReviewedSegment, estimate_error_rate
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.settling import standing_decisions

TEXT_IS_CORRECT = "the text is correct"
"""Label of the question whether a reviewer left a segment's text as it was, apart from case and punctuation."""
FIRST, SECOND = "first look", "second look"


@dataclass(frozen=True)
class SampledSegment:
    """A segment of a sample, with the machine's text."""

    ref: ItemRef
    stratum: str
    weight: float
    """Number of segments that it stands for."""
    seconds: float
    text: str
    language: str | None


@dataclass(frozen=True)
class Looks:
    """The newest judgments of an item that stand, by look and action."""

    ref: ItemRef
    by_look: Mapping[int, Mapping[str, Decision]]

    def texts(self) -> dict[int, str]:
        """Look → text."""
        found = {look: actions["text"].value for look, actions in self.by_look.items() if "text" in actions}
        return {look: str(value["text"]) for look, value in found.items() if isinstance(value, Mapping)}


@dataclass(frozen=True)
class Measured:
    """What a sample says of all segments."""

    word_error_rate: ErrorRate
    by_language: Mapping[str, ErrorRate]
    between_reviewers: float | None
    """Word error rate of the second reviewer's texts against the first one's: what people themselves do not agree on."""
    sampled: int
    reviewed_twice: int
    waiting: int
    """Sampled segments that lack a look."""
    disputed: int
    """Segments where two reviewers disagree and nobody decided: the mean of both counts."""
    population: float
    seconds_reviewed: float


@dataclass(frozen=True)
class ReviewerFigures:
    """Figures of one reviewer."""

    name: str
    items: int
    """Items judged."""
    decisions: int
    seconds_per_item: float | None
    """Median time of a judgment; None where none was measured."""
    texts_changed: float | None
    """Share of the texts that the reviewer changed; None without texts."""
    agreed: float | None
    """Share of the items with two looks in which the other one said the same; None without such items."""


@dataclass
class _Counts:
    items: set[ItemRef] = field(default_factory=set)
    decisions: int = 0
    seconds: list[float] = field(default_factory=list)
    texts: list[bool] = field(default_factory=list)
    agreed: list[bool] = field(default_factory=list)


def looks_by_item(decisions: Iterable[Decision]) -> dict[ItemRef, Looks]:
    """Group the judgments that stand by item."""
    found: dict[ItemRef, dict[int, dict[str, Decision]]] = {}
    for decision in standing_decisions(decisions):
        if decision.action in ("label", "text") and decision.value is not None:
            found.setdefault(decision.ref, {}).setdefault(decision.look, {})[decision.action] = decision
    return {ref: Looks(ref, by_look) for ref, by_look in found.items()}


def measure_sample(sample: Sequence[SampledSegment], looks: Mapping[ItemRef, Looks]) -> Measured:
    """Estimate error rates from a sample whose segments were reviewed twice."""
    reviewed: list[ReviewedSegment] = []
    by_language: dict[str, list[ReviewedSegment]] = defaultdict(list)
    errors_between = words_between = disputed = 0
    seconds = 0.0
    sizes: dict[str, float] = defaultdict(float)
    language_sizes: dict[tuple[str, str], float] = defaultdict(float)
    for segment in sample:
        language = segment.language or "und"
        sizes[segment.stratum] += segment.weight
        language_sizes[language, segment.stratum] += segment.weight
        texts = looks[segment.ref].texts() if segment.ref in looks else {}
        if not ({1, 2} <= texts.keys() or 3 in texts):
            continue
        machine, *words = spoken_words(
            [segment.text, *(texts[look] for look in sorted(texts))], [segment.language] * (len(texts) + 1)
        )
        by_look = dict(zip(sorted(texts), words, strict=True))
        references = [by_look[3]] if 3 in by_look else [by_look[1], by_look[2]]
        errors = [Levenshtein.distance(machine, reference) for reference in references]
        one = ReviewedSegment(segment.stratum, sum(errors) / len(errors), sum(map(len, references)) / len(references))
        reviewed.append(one)
        by_language[language].append(one)
        seconds += segment.seconds
        if {1, 2} <= by_look.keys():
            distance = Levenshtein.distance(by_look[2], by_look[1])
            errors_between += distance
            words_between += len(by_look[1])
            disputed += distance > 0 and 3 not in by_look
    return Measured(
        estimate_error_rate(reviewed, sizes),
        {
            language: estimate_error_rate(
                found, {stratum: size for (of, stratum), size in language_sizes.items() if of == language}
            )
            for language, found in sorted(by_language.items())
        },
        errors_between / words_between if words_between else None,
        len(sample),
        len(reviewed),
        len(sample) - len(reviewed),
        disputed,
        sum(sizes.values()),
        seconds,
    )


def label_ratings(looks: Iterable[Looks], machine: Mapping[ItemRef, SampledSegment]) -> dict[str, list[Rating]]:
    """Label → what each reviewer said in the first and the second look, by the reviewer's name.

    Args:
        looks: judgments by item.
        machine: item → segment with the machine's text, for TEXT_IS_CORRECT.
    """
    return {
        label: [Rating(item, decision.decided_by, value, cluster) for item, _, decision, value, cluster in found]
        for label, found in _judged(looks, machine).items()
    }


def agreement_of_looks(looks: Iterable[Looks], machine: Mapping[ItemRef, SampledSegment]) -> dict[str, Agreement]:
    """Label → Cohen's kappa of the first look and the second, whoever made them."""
    return {
        label: cohens_kappa(
            [Rating(item, FIRST if look == 1 else SECOND, value, cluster) for item, look, _, value, cluster in found],
            FIRST,
            SECOND,
        )
        for label, found in sorted(_judged(looks, machine).items())
    }


def agreement_of_reviewers(looks: Iterable[Looks], machine: Mapping[ItemRef, SampledSegment]) -> list[LabelAgreement]:
    """Kappa of each pair of reviewers and alpha of all, by label."""
    return [label_agreement(label, found) for label, found in sorted(label_ratings(looks, machine).items())]


def reviewer_figures(looks: Iterable[Looks], decisions: Iterable[Decision]) -> list[ReviewerFigures]:
    """Figures of each reviewer, by name.

    Args:
        looks: judgments by item.
        decisions: all decisions that stand.
    """
    counts: dict[str, _Counts] = defaultdict(_Counts)
    for decision in decisions:
        counts[decision.decided_by].decisions += 1
    for item in looks:
        for actions in item.by_look.values():
            for action, decision in actions.items():
                own = counts[decision.decided_by]
                own.items.add(item.ref)
                if decision.seconds is not None:
                    own.seconds.append(decision.seconds)
                if action == "text":
                    own.texts.append(_text_of(decision.value) != _text_of(decision.previous))
        first, second = item.by_look.get(1, {}), item.by_look.get(2, {})
        for action in first.keys() & second.keys():
            same = _comparable(first[action]) == _comparable(second[action])
            for decision in (first[action], second[action]):
                counts[decision.decided_by].agreed.append(same)
    return [
        ReviewerFigures(
            name,
            len(own.items),
            own.decisions,
            median(own.seconds) if own.seconds else None,
            sum(own.texts) / len(own.texts) if own.texts else None,
            sum(own.agreed) / len(own.agreed) if own.agreed else None,
        )
        for name, own in sorted(counts.items())
    ]


_Judgment = tuple[ItemRef, int, Decision, Any, Any]
"""Item, look, decision, value, cluster."""


def _judged(looks: Iterable[Looks], machine: Mapping[ItemRef, SampledSegment]) -> dict[str, list[_Judgment]]:
    found: dict[str, list[_Judgment]] = defaultdict(list)
    for item in looks:
        cluster = (item.ref.batch, item.ref.episode_id)
        for look, actions in item.by_look.items():
            if look > 2:
                continue
            if (label := actions.get("label")) and isinstance(label.value, Mapping):
                for slug, applies in label.value.items():
                    found[f"{label.policy}/{slug}"].append((item.ref, look, label, bool(applies), cluster))
            if (text := actions.get("text")) and (segment := machine.get(item.ref)):
                given = spoken_words([segment.text, _text_of(text.value) or ""], [segment.language] * 2)
                found[TEXT_IS_CORRECT].append((item.ref, look, text, given[0] == given[1], cluster))
    return found


def _text_of(value: object) -> str | None:
    return str(value["text"]) if isinstance(value, Mapping) and value.get("text") is not None else None


def _comparable(decision: Decision) -> object:
    if decision.action == "text":
        return tuple(spoken_words([_text_of(decision.value) or ""], [None])[0])
    return decision.value
