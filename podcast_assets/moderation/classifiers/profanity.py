"""Classifier `profanity`: offensive English words, by the linear model of alt-profanity-check (MIT), which is in its package.

It looks at single words, without context: a weak classifier that needs no download, no GPU and no server.
"""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from podcast_assets.common.errors import EngineUnavailable, Misconfigured
from podcast_assets.moderation.protocol import ClassifierEngine, Judgment, ModerationPolicy, Usage, Window
from podcast_assets.store.store import Store

PACKAGE = "alt-profanity-check"
LANGUAGE = "en"
PIECE_WORDS, PIECE_STEP = 16, 8
"""Words that are scored at once, and from one piece to the next: the model averages over words, so that a long text hides one."""
_WORD = re.compile(r"\S+")
_loading = threading.Lock()


class Profanity(ClassifierEngine):
    """Settings of the classifier."""

    name: ClassVar[str] = "profanity"
    packages: ClassVar[tuple[str, ...]] = (PACKAGE, "scikit-learn")
    extra: ClassVar[str | None] = "moderation"
    embedded: ClassVar[bool] = True

    def check_policy(self, policy: ModerationPolicy) -> None:
        """Check that the policy has one label, and English as its language.

        Raises:
            Misconfigured: it has several labels, or judges other languages.
        """
        super().check_policy(policy)
        if len(policy.labels) != 1:
            raise Misconfigured(
                f"moderation policy {policy.name}: the engine profanity knows one label, but the policy has {len(policy.labels)}"
            )
        if policy.language != LANGUAGE:
            raise Misconfigured(f"moderation policy {policy.name}: the engine profanity needs `language: {LANGUAGE}`")

    def identity(self) -> dict[str, Any]:
        """Include the package's version, which is the version of the model in it."""
        return super().identity() | {"pieces": [PIECE_WORDS, PIECE_STEP], "package": self._version()}

    def _version(self) -> str | None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(PACKAGE)
        except PackageNotFoundError:
            return None

    def fetch(self) -> None:
        """Check that the package is installed; the model is in it.

        Raises:
            EngineUnavailable: it is not.
        """
        if self._version() is None:
            raise EngineUnavailable(
                f"the classifier {self.name} needs {PACKAGE}: pip install 'podcast-assets[{self.extra}]'"
            )

    def load(self, device: str | None = None) -> "ProfanityClassifier":
        """Load the model.

        Raises:
            EngineUnavailable: the package is not installed, or does not load.
        """
        self.fetch()
        try:
            with _loading:
                import profanity_check
        except Exception as error:  # it unpickles its model when it is imported, with whatever scikit-learn is there
            raise EngineUnavailable(
                f"the classifier {self.name} cannot load the model of {PACKAGE} ({type(error).__name__}: {error}): "
                f"pip install 'podcast-assets[{self.extra}]' installs the versions that fit"
            ) from error
        return ProfanityClassifier(profanity_check.predict_prob, f"{PACKAGE} {self._version()}")


class ProfanityClassifier:
    """The loaded classifier."""

    thread_safe = True

    def __init__(self, predict: Any, model: str) -> None:
        """Keep the function that predicts, and the name of its model."""
        self._predict = predict
        self._model = model

    def fits(self, text: str, policy: ModerationPolicy) -> bool:
        """True: the model has no limit."""
        return True

    def judge(
        self, windows: Sequence[Window], policy: ModerationPolicy, store: Store | None = None
    ) -> Iterator[tuple[Window, tuple[Judgment, ...], Usage]]:
        """See `ContentClassifier`. The probability of a window is that of its most offensive piece."""
        label = policy.labels[0].slug
        for window in windows:
            began = time.monotonic()
            probability = max(map(float, self._predict(_pieces(window.text))))
            usage = Usage(seconds=time.monotonic() - began)
            yield window, (Judgment(label, min(max(probability, 0.0), 1.0), None, self._model),), usage


def _pieces(text: str) -> list[str]:
    words = _WORD.findall(text)
    starts = range(0, max(len(words) - PIECE_WORDS + PIECE_STEP, 1), PIECE_STEP)
    return [" ".join(words[start : start + PIECE_WORDS]) for start in starts]
