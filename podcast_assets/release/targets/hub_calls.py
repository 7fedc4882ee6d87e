"""Calls to the Hub with retries, rate limits and one-line errors."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import parse_ratelimit_headers
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from podcast_assets.common.errors import Misconfigured
from podcast_assets.release.targets.protocol import Stale

TRIES = 5
LONGEST_WAIT = 320.0
"""Seconds; the Hub's limits are for windows of five minutes."""
_MOVED = (409, 412)
_GONE_SINCE = 400
"""Large files that were brought and not committed go after a while: a commit that names one is a bad request."""

Result = TypeVar("Result")


def call_with_retries(call: Callable[[], Result]) -> Result:
    """Make an idempotent call, with retries.

    Raises:
        Stale: the Hub goes on not to answer, or somebody else was faster.
        Misconfigured: it does not let us.
    """
    tries = Retrying(
        retry=retry_if_exception(_may_pass),
        stop=stop_after_attempt(TRIES),
        wait=_retry_wait,
        reraise=True,
        before_sleep=None,
    )
    with translate_errors():
        return tries(call)


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of the Hub's client to our own."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise Misconfigured("HF_HUB_OFFLINE is set: nothing can be released to the Hub; unset it") from None
    except LocalTokenNotFoundError:
        raise Misconfigured(_NO_TOKEN) from None
    except (HfHubHTTPError, httpx2.HTTPError, RuntimeError) as error:
        answer = _response_of(error)
        if answer is None and not _is_network(error):
            raise
        raise _translate(error, answer) from error


_NO_TOKEN = "set HF_TOKEN to a token that may write to the repository (or run hf auth login)"  # noqa: S105 - no token is in it


def _translate(error: BaseException, answer: httpx2.Response | None) -> Exception:
    if answer is None:
        return Stale(f"the Hub cannot be reached ({type(error).__name__})")
    status = answer.status_code
    message = answer.headers.get("X-Error-Message") or ""
    if status in _MOVED:
        return Stale("somebody else has published meanwhile", wait=0.5)
    if status == 429 or status >= 500:
        return Stale(f"the Hub answered {status}", wait=_asked_for(answer))
    if status == _GONE_SINCE and "LFS" in message:
        return Stale("what was brought is there no more", forgotten=True)
    if status in (401, 403):
        return Misconfigured(f"the Hub answered {status} {message}: {_NO_TOKEN}")
    if status == 404:
        return Misconfigured(f"the Hub does not have the repository, or does not show it: {_NO_TOKEN}")
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def _may_pass(error: BaseException) -> bool:
    answer = _response_of(error)
    if answer is None:
        return _is_network(error)
    return answer.status_code in (408, 429) or answer.status_code >= 500


def _retry_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    answer = _response_of(error) if error else None
    return (_asked_for(answer) if answer is not None else 0.0) or min(2.0**state.attempt_number, 30.0)


def _asked_for(answer: httpx2.Response) -> float:
    """Seconds that the Hub asks for; 0 where it says nothing."""
    limit = parse_ratelimit_headers(answer.headers)
    after = answer.headers.get("Retry-After", "")
    seconds = (
        limit.reset_in_seconds + 1.0 if limit and limit.remaining == 0 else float(after) if after.isdigit() else 0.0
    )
    return min(seconds, LONGEST_WAIT)


def _response_of(error: BaseException) -> httpx2.Response | None:
    """The answer that an error, or one that it was made of, speaks of: uploads wrap theirs."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, HfHubHTTPError) and at.response is not None:
            return at.response
        at = at.__cause__
    return None


def _is_network(error: BaseException) -> bool:
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)):
            return True
        at = at.__cause__
    return False


class _NoSignatures(logging.Filter):
    """The client tells of tries again with the whole URL, and those of uploads hold a signature that lets anybody write."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Cut the queries of URLs off."""
        record.msg, record.args = re.sub(r"\?\S+", "?…", record.getMessage()), ()
        return True


def hide_signatures() -> None:
    """Remove the queries of URLs from the client's log lines from now on."""
    for name in ("huggingface_hub.utils._http", "huggingface_hub.lfs", "httpx", "httpx2"):
        log = logging.getLogger(name)
        if not any(isinstance(f, _NoSignatures) for f in log.filters):
            log.addFilter(_NoSignatures())
