"""Refusals of the review page, each with a message for the person at it."""


class Refused(Exception):
    """Base class of refusals."""


class LoginRefused(Refused):
    """The name or the password is wrong, the account is disabled, or there were too many attempts.

    The message does not say which of the first three.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds until another attempt is allowed; None where there were not too many."""


class NotAllowed(Refused):
    """The user's role, or the token's scope, does not allow it."""


class ItemGone(Refused):
    """The item is not in the catalog: it was taken down, changed, or never existed."""


class LeaseLost(Refused):
    """Somebody else is at work on the item, or has decided it meanwhile."""


class BadDecision(Refused):
    """The decision does not fit the item; the message says why."""
