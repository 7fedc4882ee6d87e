"""Exact duplicates: other batches with the same bytes.

Under `audio/holders/<sha256[:2]>/<sha256>/` lies an empty file per batch and episode that has these bytes. To ask for an
episode's duplicates is to list one folder: as cheap among a hundred thousand batches as among two, without an index that all
runs would have to write. Each run writes its own name before it looks, so of two at once at least one sees the other.

Earlier stages only mark duplicates; which one is published is decided where batches come together.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from podcast_assets.store.store import Store

_ASKED_AT_ONCE = 16
"""Over a network each answer takes tens of milliseconds, in which nothing else happens."""


def holders_key(sha256: str) -> str:
    """Key of the folder with the names of those who hold some bytes."""
    return f"audio/holders/{sha256[:2]}/{sha256}"


def register_content(store: Store, batch: str, episodes: Mapping[str, str]) -> dict[str, str]:
    """Register the content of a batch's episodes and return other batches that have it.

    Args:
        store: where it is written down.
        batch: the batch.
        episodes: SHA-256 → episode_id, of the batch.

    Returns:
        SHA-256 → `batch/episode_id` of the first by name in another batch; only of bytes that another batch has.
    """

    def look(sha256: str) -> tuple[str, str | None]:
        own = f"{batch}+{episodes[sha256]}"
        folder = holders_key(sha256)
        if not store.exists(f"{folder}/{own}"):
            store.write(f"{folder}/{own}", b"")
        others = sorted(n for n in store.names(folder) if "+" in n and n.split("+", 1)[0] not in (batch, ""))
        return sha256, others[0].replace("+", "/", 1) if others else None

    with ThreadPoolExecutor(_ASKED_AT_ONCE) as askers:
        return {sha256: other for sha256, other in askers.map(look, episodes) if other}


def unregister_content(store: Store, batch: str, episodes: Iterable[tuple[str, str]]) -> None:
    """Undo `register_content` for pairs of SHA-256 and episode_id that a batch no longer has."""
    for sha256, episode in episodes:
        store.remove(f"{holders_key(sha256)}/{batch}+{episode}")
