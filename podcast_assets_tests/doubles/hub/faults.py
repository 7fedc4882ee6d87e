"""Faults that a test asks the double for."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

FOREVER = 3600
"""Seconds that a held request waits: longer than any test."""


@dataclass
class Fault:
    """Something that happens to requests with a given method and a given text in their path."""

    method: str
    """Empty for any method."""
    text: str
    status: int = 500
    message: str = "the test asked for this error"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    """Number of requests that it happens to."""
    skip: int = 0
    """Number of matching requests that are answered normally first."""
    applied: bool = False
    """Carry out the request before answering with the error."""
    hold: bool = False
    """Never answer, or never send what comes after `cut`; `reached` is set when the answer would have been sent."""
    cut: int | None = None
    """Send so many bytes of a file, then close the connection."""
    damage: bool = False
    """Send a file with one bit changed."""
    reached: threading.Event = field(default_factory=threading.Event, repr=False)

    def matches(self, method: str, path: str) -> bool:
        """Whether it happens to this request; counts the request."""
        if self.times < 1 or self.method not in ("", method) or self.text not in path:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True

    @property
    def spoils_content(self) -> bool:
        """Whether it changes how a file is sent, instead of answering with an error."""
        return self.damage or self.cut is not None

    async def respond(self) -> web.Response:
        """Answer with the error, or never."""
        self.reached.set()
        if self.hold:
            await asyncio.sleep(FOREVER)
        headers = {"X-Error-Message": self.message, **self.headers}
        return web.json_response({"error": self.message}, status=self.status, headers=headers)
