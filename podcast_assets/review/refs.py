"""References to what is reviewed."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote

ItemKind = Literal["segment", "window", "failure"]


@dataclass(frozen=True, order=True)
class ItemRef:
    """Reference to a segment, a window of a moderation policy, or an episode that failed at a stage."""

    kind: ItemKind
    batch: str
    episode_id: str
    item_id: str
    """`segment_id`, `<episode_id>/<policy>/<window>` or `<stage>/<episode_id>`; unique for its kind in its batch."""

    def __post_init__(self) -> None:
        if self.kind not in ("segment", "window", "failure"):
            raise ValueError(f"{self.kind} is not a kind of item")

    @classmethod
    def segment(cls, batch: str, episode_id: str, segment_id: str) -> "ItemRef":
        """Refer to a segment."""
        return cls("segment", batch, episode_id, segment_id)

    @classmethod
    def window(cls, batch: str, episode_id: str, policy: str, window: int) -> "ItemRef":
        """Refer to a window of a moderation policy."""
        return cls("window", batch, episode_id, f"{episode_id}/{policy}/{window}")

    @classmethod
    def failure(cls, batch: str, episode_id: str, stage: str) -> "ItemRef":
        """Refer to an episode that failed at a stage."""
        return cls("failure", batch, episode_id, f"{stage}/{episode_id}")

    @property
    def policy_and_window(self) -> tuple[str, int]:
        """Name of the policy and number of the window, of a window.

        Raises:
            ValueError: it does not refer to a window.
        """
        policy, _, window = self.item_id.removeprefix(f"{self.episode_id}/").rpartition("/")
        if self.kind != "window" or not policy or not window.isascii() or not window.isdigit():
            raise ValueError(f"{self} does not refer to a window")
        return policy, int(window)

    @property
    def stage(self) -> str:
        """Stage of a failure.

        Raises:
            ValueError: it does not refer to a failure.
        """
        stage = self.item_id.removesuffix(f"/{self.episode_id}")
        if self.kind != "failure" or stage == self.item_id:
            raise ValueError(f"{self} does not refer to a failure")
        return stage

    def to_path(self) -> str:
        """Four parts of a URL's path, quoted, which `from_path` reads."""
        return "/".join(quote(part, safe="") for part in (self.kind, self.batch, self.episode_id, self.item_id))

    @classmethod
    def from_path(cls, path: str) -> "ItemRef":
        """Read what `to_path` made, still quoted.

        Raises:
            ValueError: it is something else.
        """
        parts = [unquote(part) for part in path.split("/")]
        if len(parts) != 4 or not all(parts):
            raise ValueError("not a reference to an item: kind, batch, episode and item are expected")
        return cls(*parts)  # type: ignore[arg-type] - checked by the constructor
