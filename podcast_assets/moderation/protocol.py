"""Moderation policies, windows, judgments, and the protocol of content classifiers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine
from podcast_assets.store.store import Store

ANY_LABEL = "any"
"""Label of a judgment about the whole policy, in probes and messages."""


@dataclass(frozen=True)
class Label:
    """A label of a moderation policy: `### (HS): Hate speech`."""

    code: str
    """Short code: `HS`."""
    name: str
    """Name for people: `Hate speech`."""
    slug: str
    """Name in rules and tables, unique in the policy: `hate_speech`."""
    includes: str
    """What the label applies to, Markdown."""
    excludes: str
    """What it does not apply to, Markdown."""
    threshold: float
    """Probability from which the verdict is `flagged`."""
    definition: str
    """The label's whole section, Markdown."""


@dataclass(frozen=True)
class Probe:
    """A calibration probe: a text of which the answer is known."""

    label: str | None
    """Slug of the label; None: any label of the policy."""
    text: str
    flagged: bool
    """Whether the label applies."""


@dataclass(frozen=True)
class ModerationPolicy:
    """A moderation policy, as its Markdown file says."""

    name: str
    version: str
    language: str | None
    """ISO 639-1 code of the only language that it judges; None: any."""
    engine: str
    """Name of the classifier."""
    text: str
    """The Markdown without front matter."""
    labels: tuple[Label, ...]
    probes: tuple[Probe, ...]
    hash: str
    """SHA-256 of the file, 64 hex digits."""
    window_words: int = 300
    """Words of a window, about."""
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    def label(self, slug: str) -> Label:
        """Return a label by its slug.

        Raises:
            KeyError: the policy has no such label.
        """
        for label in self.labels:
            if label.slug == slug:
                return label
        raise KeyError(slug)


@dataclass(frozen=True)
class Window:
    """A stretch of an episode that is judged at once."""

    index: int
    """Position in the episode, from 0."""
    start: float
    """Start of its first segment on the episode's clock, s."""
    end: float
    """End of its last segment, s."""
    segment_ids: tuple[str, ...]
    text: str
    """What is judged, one line per turn."""
    language: str | None
    """ISO 639-1 code of most of its words; None if unknown."""


@dataclass(frozen=True)
class Judgment:
    """What a classifier says of one window and one label."""

    label: str
    """Slug."""
    probability: float | None
    """0 to 1; None: the answer could not be read, was refused, or the window is too long."""
    reason: str | None
    """Why there is no probability; None where there is one."""
    model: str


@dataclass(frozen=True)
class Usage:
    """What the judgments of a window cost."""

    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    price: float | None = None
    """USD; None where no price is set."""

    def __add__(self, other: "Usage") -> "Usage":
        prices = [p for p in (self.price, other.price) if p is not None]
        return replace(
            self,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            seconds=self.seconds + other.seconds,
            price=sum(prices) if prices else None,
        )


class ContentClassifier(Protocol):
    """Protocol of the workers of classifiers. One whose attribute `thread_safe` is true judges several episodes at once."""

    def fits(self, text: str, policy: ModerationPolicy) -> bool:
        """Whether a text is within the model's limit together with the policy, by its own tokenizer or a safe bound."""
        ...

    def judge(
        self, windows: Sequence[Window], policy: ModerationPolicy, store: Store | None = None
    ) -> Iterator[tuple[Window, tuple[Judgment, ...], Usage]]:
        """Yield each window with a judgment for every label of the policy, as it is answered, in any order.

        Args:
            windows: windows of one episode, each of which `fits`.
            policy: the policy.
            store: where answers may be kept that are expensive to get again; None to keep none (probes, trials).
        """
        ...


class ClassifierEngine(Engine):
    """Base class of the engines in `moderation/classifiers`; `load()` returns a `ContentClassifier`."""

    @classmethod
    def from_settings(cls, settings: Settings) -> dict[str, Any]:
        """Fields that the settings of the project fill. PODCAST_ENGINES overrides them."""
        return {}

    def check_policy(self, policy: ModerationPolicy) -> None:
        """Check that the engine can judge every label of a policy. Cheap: needs no model and no network.

        Raises:
            Misconfigured: it cannot; the message names the policy and what to change in it.
        """
        if policy.engine_options:
            options = ", ".join(sorted(policy.engine_options))
            raise Misconfigured(
                f"moderation policy {policy.name}: the engine {self.name} takes no engine_options, but the policy sets {options}"
            )
