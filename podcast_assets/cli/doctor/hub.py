"""Whether the hub answers, and whether it gives the models that are not here. Nothing waits for a hub that is slow."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from podcast_assets.cli.doctor.finding import Finding, first_line
from podcast_assets.engines import models as hub
from podcast_assets.engines.hub_offline import offline_reason
from podcast_assets.engines.model_cache import HubModel

AREA = "model hub"
SECONDS = 3.0
"""The longest that all the asking takes."""

T = TypeVar("T")


class TimeLimit:
    """Time limit shared by several requests."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._left = seconds
        self.late = False
        """Whether something did not come in time."""

    def ask(self, questions: Sequence[Callable[[], T]]) -> list[T | Exception | None]:
        """Ask all at once; gives each answer or error, None for what did not come in time.

        Threads, because a name that is being looked up knows no timeout; they are left alone, and end with the program.
        """
        answers: list[T | Exception | None] = [None] * len(questions)

        def put(index: int, question: Callable[[], T]) -> None:
            try:
                answers[index] = question()
            except Exception as error:
                answers[index] = error

        began = time.monotonic()
        threads = [threading.Thread(target=put, args=(i, q), daemon=True) for i, q in enumerate(questions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, self._left - (time.monotonic() - began)))
        self._left = max(0.0, self._left - (time.monotonic() - began))
        told = list(answers)
        self.late |= None in told
        return told


def reachable(clock: TimeLimit, ping: Callable[[], bool]) -> Finding:
    """Whether the hub answers.

    Args:
        clock: how long may be waited.
        ping: asks it, and raises if it does not answer.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return Finding(AREA, "ok", "HF_HUB_OFFLINE is set: only models on this machine are used")
    (answer,) = clock.ask([ping])
    if answer is True:
        return Finding(AREA, "ok", f"{constants.ENDPOINT} answers")
    why = first_line(answer) if isinstance(answer, Exception) else f"no answer in {SECONDS:.0f} s"
    return Finding(
        AREA,
        "warning",
        f"{constants.ENDPOINT} cannot be reached: {why}",
        "fetch models on a machine that reaches it, and bring its models folder here (PODCAST_MODELS)",
    )


def ping() -> bool:
    """Ask the hub for anything: whatever it answers, it is there. Raises whatever the connection does."""
    from huggingface_hub import constants, get_session

    get_session().head(constants.ENDPOINT, timeout=SECONDS)
    return True


def check_available(clock: TimeLimit, models: Sequence[HubModel]) -> dict[HubModel, tuple[bool, str]]:
    """Check whether each model is on this machine or can be downloaded, with the reason."""
    if offline_reason():
        return {model: hub.check_available(model) for model in models}
    answers = clock.ask([partial(hub.check_available, model, seconds=SECONDS) for model in models])
    told = {}
    for model, answer in zip(models, answers, strict=True):
        if answer is None:
            told[model] = (False, f"{model.repo} is not here, and the hub did not answer in time")
        else:
            told[model] = (False, first_line(answer)) if isinstance(answer, Exception) else answer
    return told
