"""A double of a classifier: engines of served models need a server, and real ones do not say what a test needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.moderation.protocol import ClassifierEngine, Judgment, ModerationPolicy, Usage, Window
from podcast_assets.store.store import Store

Probability = Callable[[str], float | None]

POLICY = """---
name: {name}
version: 1
engine: {engine}
language: {language}
window_words: {words}
thresholds: {{BAD: 0.5, worse: 0.9}}
probes:
  - {{label: bad, text: "a bad word", flagged: true}}
  - {{text: "a good word", flagged: false}}
---

# Example

## Overview

What is bad.

## Definition of Terms

**Bad**: not good.

## Interpretation of Language

As it is.

## Definition of Labels

### (BAD): Bad

#### Includes

- bad words

#### Excludes

- good words

### (WRS): Worse

#### Includes

- worse words

#### Excludes

- bad words
"""


def write_policy(
    folder: Path,
    name: str,
    *,
    engine: str = "double",
    language: str = "null",
    words: int = 300,
    changes: Mapping[str, str] | None = None,
) -> Path:
    """Write a policy with the labels `bad` and `worse`; `changes` replaces texts in it."""
    text = POLICY.format(name=name, engine=engine, language=language, words=words)
    for old, new in (changes or {}).items():
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.md"
    file.write_text(text)
    return file


class DoubleEngine(ClassifierEngine):
    """Says 0.8 of the label `bad` if a text contains "bad", 0.1 else; the same of `worse`. Texts with "mumble" have no answer."""

    name: ClassVar[str] = "double"

    missing: bool = False
    wrong: bool = False
    """Answers the other way round."""
    limit: int = 10_000
    """Characters of a text that fit."""

    def fetch(self) -> None:
        """Fail if the engine is set to be missing."""
        if self.missing:
            raise EngineUnavailable("there is no model here")

    def load(self, device: str | None = None) -> "DoubleClassifier":
        """Return the worker."""
        self.fetch()
        return DoubleClassifier(self)


class DoubleClassifier:
    """The worker of the double. `asked` counts the windows that every worker was asked about, without probes."""

    asked: ClassVar[list[str]] = []

    def __init__(self, engine: DoubleEngine) -> None:
        """Keep the settings."""
        self._engine = engine

    def fits(self, text: str, policy: ModerationPolicy) -> bool:
        """Whether the text is short enough."""
        return len(text) <= self._engine.limit

    def judge(
        self, windows: Sequence[Window], policy: ModerationPolicy, store: Store | None = None
    ) -> Iterator[tuple[Window, tuple[Judgment, ...], Usage]]:
        """Answer in reverse order, as a concurrent client may."""
        for window in reversed(windows):
            if store is not None:
                self.asked.append(f"{policy.name}: {window.text}")
            if "explode" in window.text:
                raise ConnectionError("the server is gone")
            judgments = tuple(self._judge(window.text, label.slug) for label in policy.labels)
            yield window, judgments, Usage(tokens_in=100, tokens_out=2, seconds=0.5, price=0.01)

    def _judge(self, text: str, label: str) -> Judgment:
        if "mumble" in text:
            return Judgment(label, None, "the answer is 'maybe'", "double-1")
        probability = 0.8 if (label in text) != self._engine.wrong else 0.1
        return Judgment(label, probability, None, "double-1")


def install(monkeypatch: Any) -> None:
    """Make the double known as the classifier `double`, beside those of the package."""
    from podcast_assets.engines import engine
    from podcast_assets.stages import profiles

    real = engine.engines

    def with_double(kind: str) -> Any:
        return (*real(kind), DoubleEngine) if kind == "classifier" else real(kind)

    real_class = engine._engine_class

    def class_of(kind: str, name: str) -> Any:
        return DoubleEngine if (kind, name) == ("classifier", "double") else real_class(kind, name)

    monkeypatch.setattr(engine, "_engine_class", class_of)
    monkeypatch.setattr(profiles, "engines", with_double)
    DoubleClassifier.asked.clear()
