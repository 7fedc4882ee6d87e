"""What a test makes the double do."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Fault:
    """Something that happens to requests of a method whose path holds a text."""

    method: str
    text: str
    status: int = 500
    times: int = 1
    """Requests that it happens to."""
    passed: int = 0
    """Requests that it lets pass before."""
    applied: bool = False
    """The request is carried out, and the answer is lost."""
    hold: bool = False
    """The answer never comes; `reached` tells when it would have."""
    headers: Mapping[str, str] = field(default_factory=dict)
    reached: threading.Event = field(default_factory=threading.Event, repr=False)

    def meets(self, method: str, path: str) -> bool:
        """Whether it happens to this request; counts it."""
        if self.times < 1 or method != self.method or self.text not in path:
            return False
        if self.passed > 0:
            self.passed -= 1
            return False
        self.times -= 1
        return True
