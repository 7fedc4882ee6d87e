"""The kinds of trouble that the stages tell apart."""


class BadInput(ValueError):
    """The data itself is at fault: trying again cannot help. The message is one line for the person who owns the data."""


class Misconfigured(RuntimeError):
    """Something that a person set cannot work; the message says what to set instead."""
