"""The worker of the engine `openai`: asks a served model about windows, several questions at once, and keeps each answer."""

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from podcast_assets.common.parallel import run_in_threads
from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.moderation.endpoint.adapters.answer import Unreadable, parse_answer
from podcast_assets.moderation.endpoint.adapters.choose import choose_adapter
from podcast_assets.moderation.endpoint.answers import Answers, KeptAnswer, answer_key
from podcast_assets.moderation.endpoint.client import Client
from podcast_assets.moderation.endpoint.limits import Limit, find_model
from podcast_assets.moderation.endpoint.spending import Spending
from podcast_assets.moderation.protocol import Judgment, ModerationPolicy, Usage, Window
from podcast_assets.store.store import Store

NO_USAGE = Usage()


@dataclass(frozen=True)
class PolicyJudge:
    """What judges the windows of one policy: its adapter, its model and the model's context."""

    policy: ModerationPolicy
    adapter: Adapter
    model: str
    limit: Limit


@dataclass
class EndpointClassifier:
    """Judges windows by a served model."""

    client: Client
    adapter: str
    """Adapter of policies that name none."""
    model: str | None
    """Model of policies that name none; None for the adapter's own."""
    concurrency: int
    """Questions at once."""
    context: int | None
    """Tokens of the model's context; None to ask the server."""
    attempt: int
    """Kept answers that could not be read are asked for again if they are of an earlier attempt."""
    spending: Spending
    thread_safe: ClassVar[bool] = True
    """Several episodes are judged at once, so that the last windows of one do not keep the server waiting."""
    _judges: dict[tuple[str, str], PolicyJudge] = field(default_factory=dict)

    def fits(self, text: str, policy: ModerationPolicy) -> bool:
        """Whether a text, with the policy around it, is within the model's context for every label.

        Raises:
            EngineUnavailable: the server cannot be reached, or does not serve the model.
            Misconfigured: the policy's engine options are invalid.
        """
        judge = self.judge_of(policy)
        window = Window(0, 0.0, 0.0, (), text, policy.language)
        return all(judge.limit.problem(question) is None for question in judge.adapter.questions(window, policy))

    def judge(
        self, windows: Sequence[Window], policy: ModerationPolicy, store: Store | None = None
    ) -> Iterator[tuple[Window, tuple[Judgment, ...], Usage]]:
        """Judge windows; yields each as soon as all its questions are answered, in any order.

        Args:
            windows: windows of one episode.
            policy: the policy.
            store: where answers are kept; without it every question is asked.

        Yields:
            A window, its judgments, and what this call used for it: nothing for answers that were kept earlier.

        Raises:
            EngineUnavailable: the server cannot be reached or refuses all requests, or the budget is used up. What was answered is
                kept.
            RequestFailed: the server fails at one question again and again.
            Misconfigured: the policy's engine options are invalid.
            StoreTrouble: answers cannot be kept.
        """
        judge = self.judge_of(policy)
        answers = Answers(store) if store else None
        asked = [(i, q) for i, window in enumerate(windows) for q in judge.adapter.questions(window, policy)]
        open_questions = [sum(1 for j, _ in asked if j == i) for i in range(len(windows))]
        found: list[dict[str, Judgment]] = [{} for _ in windows]
        used = [NO_USAGE] * len(windows)
        with contextlib.closing(self._ask_all(judge, asked, answers)) as results:
            for i, judgments, usage in results:
                found[i] |= {j.label: j for j in judgments}
                used[i] += usage
                open_questions[i] -= 1
                if not open_questions[i]:
                    yield windows[i], tuple(found[i][label.slug] for label in policy.labels), used[i]

    def judge_of(self, policy: ModerationPolicy) -> PolicyJudge:
        """Make what judges a policy, with the adapter and the model that its engine options name.

        Raises:
            EngineUnavailable: the server cannot be reached, or does not serve the model.
            Misconfigured: the options are invalid, or no model is named.
        """
        key = policy.name, policy.hash
        found = self._judges.get(key)
        if found is None or found.policy != policy:
            adapter, model = choose_adapter(policy, self.adapter, self.model)
            served = find_model(self.client, model)
            limit = Limit(self.client, model, adapter, self.context or served.context or adapter.context)
            found = self._judges[key] = PolicyJudge(policy, adapter, model, limit)
        return found

    def _ask_all(
        self, judge: PolicyJudge, asked: Sequence[tuple[int, Question]], answers: Answers | None
    ) -> Generator[tuple[int, tuple[Judgment, ...], Usage]]:
        stop = threading.Event()  # an error ends the waits of all threads
        return run_in_threads(
            lambda item: (item[0], *self._answer(judge, item[1], answers, stop)),
            asked,
            self.concurrency,
            name="moderation",
            on_abort=stop.set,
        )

    def _answer(
        self, judge: PolicyJudge, question: Question, answers: Answers | None, stop: threading.Event
    ) -> tuple[tuple[Judgment, ...], Usage]:
        """Return the kept answer to a question, or ask it and keep the answer."""
        key = answer_key(judge.adapter, judge.model, question)
        kept = answers.find(key) if answers else None
        if kept is not None and (kept.reason is None or kept.attempt >= self.attempt):
            return _judgments(judge, question, kept), NO_USAGE
        if problem := judge.limit.problem(question):
            return _judgments(judge, question, KeptAnswer(reason=problem)), NO_USAGE
        began = time.monotonic()
        with self.spending.reserve(question):
            try:
                content = self.client.complete(question.path, {"model": judge.model, **question.body}, stop)
            except Unreadable as error:  # the server refuses it: nothing was answered that could be kept
                return _judgments(judge, question, KeptAnswer(reason=str(error))), NO_USAGE
            answer, tokens_in, tokens_out = self._read(judge, question, content)
            usage = self.spending.add(tokens_in, tokens_out, time.monotonic() - began)
        if answers:
            answers.keep(key, answer)
        return _judgments(judge, question, answer), usage

    def _read(self, judge: PolicyJudge, question: Question, content: object) -> tuple[KeptAnswer, int, int]:
        """Read the probabilities of an answer, or why there are none; and the tokens that were used."""
        tokens_in = tokens_out = 0
        try:
            answer = parse_answer(content)
            tokens_in, tokens_out = answer.tokens_in, answer.tokens_out
            probabilities = judge.adapter.read(question, answer, judge.policy)
        except Unreadable as error:
            return KeptAnswer(reason=str(error), attempt=self.attempt), tokens_in, tokens_out
        return KeptAnswer(probabilities, attempt=self.attempt), tokens_in, tokens_out


def _judgments(judge: PolicyJudge, question: Question, answer: KeptAnswer) -> tuple[Judgment, ...]:
    return tuple(Judgment(slug, answer.probabilities.get(slug), answer.reason, judge.model) for slug in question.labels)
