"""Checks that the hub answers and offers the models that are not on this machine, within a time limit."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import first_line
from podcast_assets.common.redaction import redact_url
from podcast_assets.engines import models as hub
from podcast_assets.engines.hub_offline import offline_reason
from podcast_assets.engines.model_cache import HubModel

AREA = "model hub"
SECONDS = 3.0
"""Time limit of all requests together."""

T = TypeVar("T")


class TimeLimit:
    """Time limit shared by several requests."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self.exceeded = False
        """Whether a request was not answered in time."""

    def ask(self, questions: Sequence[Callable[[], T]]) -> list[T | Exception | None]:
        """Ask all questions at once and return each answer or error; None for those not answered in time.

        Each question has a thread, because DNS lookups have no timeout. Late threads are abandoned and end with the program.
        """
        answers: list[T | Exception | None] = [None] * len(questions)

        def answer(index: int, question: Callable[[], T]) -> None:
            try:
                answers[index] = question()
            except Exception as error:
                answers[index] = error

        began = time.monotonic()
        threads = [threading.Thread(target=answer, args=(i, q), daemon=True) for i, q in enumerate(questions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self._left - (time.monotonic() - began)))
        self._left = max(0.0, self._left - (time.monotonic() - began))
        in_time = list(answers)  # late threads still write to the other list
        self.exceeded |= None in in_time
        return in_time


def reachable(limit: TimeLimit, ping: Callable[[], bool]) -> Finding:
    """Check that the hub answers.

    Args:
        limit: time limit of the request.
        ping: sends the request; raises if it is not answered.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return Finding(AREA, "ok", "HF_HUB_OFFLINE is set: only models on this machine are used")
    (answer,) = limit.ask([ping])
    if answer is True:
        return Finding(AREA, "ok", f"{redact_url(constants.ENDPOINT)} answers")
    why = first_line(answer) if isinstance(answer, Exception) else f"no answer in {SECONDS:.0f} s"
    return Finding(
        AREA,
        "warning",
        f"{redact_url(constants.ENDPOINT)} cannot be reached: {why}",
        "download the models on a machine that reaches it, and copy its models folder to this one (PODCAST_MODELS)",
    )


def ping() -> bool:
    """Send the hub a request; any answer will do. Raises what the connection raises."""
    from huggingface_hub import constants, get_session

    get_session().head(constants.ENDPOINT, timeout=SECONDS)
    return True


def check_available(limit: TimeLimit, models: Sequence[HubModel]) -> dict[HubModel, tuple[bool, str]]:
    """Check whether each model is on this machine or can be downloaded, with the reason."""
    if offline_reason():
        return {model: hub.check_available(model) for model in models}
    answers = limit.ask([partial(hub.check_available, model, seconds=SECONDS) for model in models])
    available = {}
    for model, answer in zip(models, answers, strict=True):
        if answer is None:
            available[model] = (False, f"{model.repo} is not on this machine, and the hub did not answer in time")
        elif isinstance(answer, Exception):
            available[model] = (False, first_line(answer))
        else:
            available[model] = answer
    return available
