"""Calls to the Hub with retries, rate limits and one-line errors."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import parse_ratelimit_headers
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from podcast_assets.common.errors import Misconfigured
from podcast_assets.common.redaction import redact_text
from podcast_assets.release.targets.protocol import Stale

TRIES = 5
LONGEST_WAIT = 320.0
"""Seconds. The Hub limits requests per five minutes."""
_CONFLICT = (409, 412)
_BAD_REQUEST = 400
"""Status of a commit with large files that were uploaded but not committed in time, which the Hub deletes."""

Result = TypeVar("Result")


def call_with_retries(call: Callable[[], Result]) -> Result:
    """Make an idempotent call, with retries.

    Raises:
        Stale: the Hub keeps failing, or another release was faster.
        Misconfigured: the Hub denies access.
    """
    retrying = Retrying(
        retry=retry_if_exception(_is_transient),
        stop=stop_after_attempt(TRIES),
        wait=_retry_wait,
        reraise=True,
        before_sleep=None,
    )
    with translate_errors():
        return retrying(call)


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Translate errors of the Hub's client to `Stale` and `Misconfigured`."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise Misconfigured("HF_HUB_OFFLINE is set: nothing can be released to the Hub; unset it") from None
    except LocalTokenNotFoundError:
        raise Misconfigured(_NO_TOKEN) from None
    except (HfHubHTTPError, httpx2.HTTPError, RuntimeError) as error:
        response = _response_of(error)
        if response is None and not _is_network(error):
            raise
        raise _translate(error, response) from error


_NO_TOKEN = "set HF_TOKEN to a token that may write to the repository (or run hf auth login)"  # noqa: S105 - no token is in it


def _translate(error: BaseException, response: httpx2.Response | None) -> Exception:
    if response is None:
        return Stale(f"the Hub cannot be reached ({type(error).__name__})")
    status = response.status_code
    message = redact_text(response.headers.get("X-Error-Message") or "")
    if status in _CONFLICT:
        return Stale("another release was published meanwhile", wait=0.5)
    if status == 429 or status >= 500:
        return Stale(f"the Hub answered {status}", wait=_requested_wait(response))
    if status == _BAD_REQUEST and "LFS" in message:
        return Stale("uploaded files were deleted before they were committed", uploads_lost=True)
    if status in (401, 403):
        return Misconfigured(f"the Hub answered {status} {message}: {_NO_TOKEN}")
    if status == 404:
        return Misconfigured(f"the repository does not exist on the Hub, or the token may not read it: {_NO_TOKEN}")
    return error if isinstance(error, Exception) else RuntimeError(str(error))


def _is_transient(error: BaseException) -> bool:
    response = _response_of(error)
    if response is None:
        return _is_network(error)
    return response.status_code in (408, 429) or response.status_code >= 500


def _retry_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    response = _response_of(error) if error else None
    return (_requested_wait(response) if response is not None else 0.0) or min(2.0**state.attempt_number, 30.0)


def _requested_wait(response: httpx2.Response) -> float:
    """Seconds that the Hub asks to wait; 0 if it does not say."""
    limit = parse_ratelimit_headers(response.headers)
    after = response.headers.get("Retry-After", "")
    seconds = (
        limit.reset_in_seconds + 1.0 if limit and limit.remaining == 0 else float(after) if after.isdigit() else 0.0
    )
    return min(seconds, LONGEST_WAIT)


def _response_of(error: BaseException) -> httpx2.Response | None:
    """Find the response of an error or of one of its causes, because uploads wrap their errors."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            return cause.response
        cause = cause.__cause__
    return None


def _is_network(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError)):
            return True
        cause = cause.__cause__
    return False


class _NoSignatures(logging.Filter):
    """Removes signatures from log records: the client logs full URLs, and the signed URL of an upload lets anyone write."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the message."""
        record.msg, record.args = redact_text(record.getMessage()), ()
        return True


def hide_signatures() -> None:
    """Remove the queries of URLs from the log messages of the Hub's client."""
    for name in ("huggingface_hub.utils._http", "huggingface_hub.lfs", "httpx", "httpx2"):
        log = logging.getLogger(name)
        if not any(isinstance(f, _NoSignatures) for f in log.filters):
            log.addFilter(_NoSignatures())
