"""Answers that are kept in the store: each question is asked once, whatever happens to the process or the server.

Models answer differently under another load even at temperature 0, so the first answer is the one that counts. It is written
durably before it is used. A file has probabilities and reasons, no text: the name is a hash of the question.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, Question
from podcast_assets.store.store import Store

FOLDER = "moderation/answers"
"""Folder of the store."""


@dataclass(frozen=True)
class KeptAnswer:
    """What was read from an answer."""

    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Slug of a label → its probability; empty if the answer gives none."""
    reason: str | None = None
    """Why it gives none."""
    attempt: int = 1
    """Setting of the engine when it was asked."""


def answer_key(adapter: Adapter, model: str, question: Question) -> str:
    """Key of the answer to a question.

    It depends on all that the answer depends on: the request, with the label's definition and the window's text in it; the model;
    the adapter with its options. It does not depend on the policy's thresholds and probes: changing them asks nothing again.
    """
    parts = {
        "adapter": [adapter.name, adapter.version, adapter.model_dump(mode="json")],
        "model": model,
        "path": question.path,
        "body": question.body,
        "labels": question.labels,
    }
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{FOLDER}/{digest[:2]}/{digest}.json"


@dataclass(frozen=True)
class Answers:
    """The answers in a store."""

    store: Store

    def find(self, key: str) -> KeptAnswer | None:
        """Return a kept answer; None if there is none, or its file is damaged."""
        try:
            content: dict[str, Any] = json.loads(self.store.read(key))
            return KeptAnswer(**content)
        except (FileNotFoundError, TypeError, ValueError):
            return None

    def keep(self, key: str, answer: KeptAnswer) -> None:
        """Write an answer durably.

        Raises:
            StoreTrouble: the store is full, read-only or not accessible.
        """
        self.store.write(key, json.dumps(asdict(answer), sort_keys=True).encode())
