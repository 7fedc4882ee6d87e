"""One-line summaries of the errors that ended runs."""

from podcast_assets.common.errors import BadInput, ClusterLost, EngineUnavailable, Misconfigured, StoreTrouble
from podcast_assets.defs.dagster_internals import ErrorInfo
from podcast_assets.stages.compute.device import BrokenDevice
from podcast_assets.stages.compute.stream import NoProgress
from podcast_assets.stages.runner import NothingDone

_PROJECT_ERRORS = {
    c.__name__
    for c in (
        BadInput,
        BrokenDevice,
        ClusterLost,
        EngineUnavailable,
        Misconfigured,
        NoProgress,
        NothingDone,
        StoreTrouble,
    )
}


def is_interruption(error: object) -> bool:
    """Whether the error of an event, or one of its causes, is that a signal interrupted the run."""
    while isinstance(error, ErrorInfo):
        if error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt"):
            return True
        error = error.cause
    return False


def summarize_error(error: ErrorInfo | None) -> str:
    """Summarize the error of a step in one line.

    Dagster wraps errors in its own. The summary is of the first error in the chain that this project raised, or else of the root
    cause.
    """
    error = _find_own_error(error)
    if error is None:
        return "failed"
    lines = error.message.strip().splitlines() or [error.cls_name or "failed"]
    return lines[0].split(f"{error.cls_name}: ", 1)[-1]


def traceback_lines(error: ErrorInfo | None) -> list[str]:
    """Return the lines of the traceback of the error that `summarize_error` summarizes, and its message as the last ones."""
    error = _find_own_error(error)
    return "".join([*error.stack, error.message]).rstrip().splitlines() if error else []


def _find_own_error(error: ErrorInfo | None) -> ErrorInfo | None:
    """Return the first error in the chain that this project raised, or else the root cause."""
    while error is not None and error.cause is not None and error.cls_name not in _PROJECT_ERRORS:
        error = error.cause
    return error
