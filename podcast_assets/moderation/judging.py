"""Judge the windows of an episode, and try a classifier on a policy's calibration probes before it judges anything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podcast_assets.moderation.protocol import (
    ANY_LABEL,
    ContentClassifier,
    Judgment,
    ModerationPolicy,
    Probe,
    Usage,
    Window,
)
from podcast_assets.moderation.windows import JudgedSegment, WindowPlan, plan_windows
from podcast_assets.store.store import Store

FLAGGED, CLEAN, NEEDS_REVIEW, NOT_JUDGED = "flagged", "clean", "needs_review", "not_judged"
VERDICTS = (FLAGGED, CLEAN, NEEDS_REVIEW, NOT_JUDGED)
"""Verdicts of a label on a window. `needs_review`: no readable answer; `not_judged`: the policy is for another language."""
TOO_LONG = "the window does not fit into the classifier's context, however short it is"


class ProbesFailed(RuntimeError):
    """A classifier answers the calibration probes of a policy wrongly, so that its judgments would be worthless."""


@dataclass(frozen=True)
class ProbeResult:
    """What a classifier answered to a probe."""

    probe: Probe
    probability: float | None
    """Highest probability of the probe's label, or of any label; None if one of them is missing and none flags."""
    flagged: bool
    reason: str | None
    """Why a probability is missing."""

    @property
    def right(self) -> bool:
        """Whether the answer is the expected one; no answer is wrong."""
        return self.flagged == self.probe.flagged and (self.flagged or self.probability is not None)


@dataclass(frozen=True)
class JudgedWindow:
    """A window with a judgment for every label of the policy, in the policy's order."""

    window: Window
    judgments: tuple[Judgment, ...]
    usage: Usage


def verdict_of(judgment: Judgment, threshold: float, *, judged: bool = True) -> str:
    """Return the verdict of a judgment.

    Args:
        judgment: probability of one label.
        threshold: probability from which the label is flagged.
        judged: whether the classifier was asked.
    """
    if judgment.probability is None:
        return NEEDS_REVIEW if judged else NOT_JUDGED
    return FLAGGED if judgment.probability >= threshold else CLEAN


def other_language(window: Window, policy: ModerationPolicy) -> str | None:
    """Why a policy does not judge a window: it is for another language; None if it judges it."""
    if policy.language is None or window.language in (None, policy.language):
        return None
    return f"language: the window is in {window.language}, and the policy judges {policy.language}"


def plan_episode(
    segments: Sequence[JudgedSegment], policy: ModerationPolicy, classifier: ContentClassifier
) -> WindowPlan:
    """Plan the windows of an episode, each within the classifier's limit."""
    return plan_windows(segments, words=policy.window_words, fits=lambda text: classifier.fits(text, policy))


def judge_windows(
    plan: WindowPlan, policy: ModerationPolicy, classifier: ContentClassifier, store: Store | None = None
) -> Iterator[JudgedWindow]:
    """Judge windows, and yield each as it is answered. Those that cannot be asked about come first, with the reason.

    Raises:
        RuntimeError: the classifier left a window or a label without a judgment.
    """
    asked: list[Window] = []
    for window in plan.windows:
        reason = other_language(window, policy) or (TOO_LONG if window.index in plan.too_long else None)
        if reason is None:
            asked.append(window)
        else:
            yield JudgedWindow(window, tuple(Judgment(x.slug, None, reason, "") for x in policy.labels), Usage())
    left = {w.index for w in asked}
    for window, judgments, usage in classifier.judge(asked, policy, store):
        by_label = {j.label: j for j in judgments}
        if missing := [x.slug for x in policy.labels if x.slug not in by_label]:
            raise RuntimeError(f"the classifier {policy.engine} gave no judgment of {', '.join(missing)}")
        left.discard(window.index)
        yield JudgedWindow(window, tuple(by_label[x.slug] for x in policy.labels), usage)
    if left:
        raise RuntimeError(f"the classifier {policy.engine} left {len(left)} windows without an answer")


def ask_probes(policy: ModerationPolicy, classifier: ContentClassifier) -> list[ProbeResult]:
    """Ask the calibration probes of a policy."""
    windows = [
        Window(index, 0.0, 0.0, (f"probe-{index}",), probe.text, policy.language)
        for index, probe in enumerate(policy.probes)
    ]
    answers = {w.index: judgments for w, judgments, _ in classifier.judge(windows, policy)}
    return [_probe_result(policy, probe, answers.get(i, ())) for i, probe in enumerate(policy.probes)]


def require_probes(policy: ModerationPolicy, classifier: ContentClassifier) -> list[ProbeResult]:
    """Ask the calibration probes, and return the answers.

    Raises:
        ProbesFailed: one of them is wrong.
    """
    results = ask_probes(policy, classifier)
    if wrong := [r for r in results if not r.right]:
        shown = "; ".join(describe_probe(r) for r in wrong[:3])
        raise ProbesFailed(
            f"moderation policy {policy.title}: the classifier {policy.engine} answers {len(wrong)} of {len(results)} calibration "
            f"probes wrongly, so it judges nothing: {shown}. Check the engine's model and settings, the policy's thresholds, and "
            f"its probes: `podcast-assets moderation show {policy.name} --probes`"
        )
    return results


def describe_probe(result: ProbeResult) -> str:
    """Describe a probe and its answer in one line."""
    text = result.probe.text if len(result.probe.text) <= 60 else f"{result.probe.text[:59]}…"
    expected = "flagged" if result.probe.flagged else "clean"
    got = result.reason if result.probability is None else f"{result.probability:.2f}"
    return f"{text!r} ({result.probe.label or ANY_LABEL}) should be {expected}, but the answer is {got or 'missing'}"


def _probe_result(policy: ModerationPolicy, probe: Probe, judgments: Sequence[Judgment]) -> ProbeResult:
    asked = [j for j in judgments if probe.label in (None, j.label)]
    flagged = any(verdict_of(j, policy.label(j.label).threshold) == FLAGGED for j in asked)
    known = [j.probability for j in asked if j.probability is not None]
    complete = bool(asked) and (flagged or len(known) == len(asked))
    reason = None if complete else next((j.reason for j in asked if j.reason), "no answer")
    return ProbeResult(probe, max(known) if complete else None, flagged, reason)
