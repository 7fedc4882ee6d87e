"""Exact duplicates: other batches with the same bytes.

`audio/holders/<sha256[:2]>/<sha256>/` holds an empty file per batch and episode with these bytes. Finding an episode's duplicates
means listing one folder, which costs the same for two batches and for a hundred thousand, and needs no index that all runs would
have to write. Each run writes its own file before it lists, so of two concurrent runs at least one sees the other.

Duplicates are only marked here; the release decides which copy is published.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from podcast_assets.store.store import STORE_READERS, Store


def holders_key(sha256: str) -> str:
    """Key of the folder that lists the holders of some bytes."""
    return f"audio/holders/{sha256[:2]}/{sha256}"


def register_content(store: Store, batch: str, episodes: Mapping[str, str]) -> dict[str, str]:
    """Register the content of a batch's episodes and return other batches that have it.

    Args:
        store: store with the holders.
        batch: the batch.
        episodes: SHA-256 → episode_id, of the batch.

    Returns:
        SHA-256 → `batch/episode_id` of the first holder by name in another batch, for bytes that another batch has.
    """

    def register(sha256: str) -> tuple[str, str | None]:
        own = f"{batch}+{episodes[sha256]}"
        folder = holders_key(sha256)
        if not store.exists(f"{folder}/{own}"):
            store.write(f"{folder}/{own}", b"")
        others = sorted(n for n in store.names(folder) if "+" in n and n.split("+", 1)[0] not in (batch, ""))
        return sha256, others[0].replace("+", "/", 1) if others else None

    with ThreadPoolExecutor(STORE_READERS) as pool:
        return {sha256: other for sha256, other in pool.map(register, episodes) if other}


def unregister_content(store: Store, batch: str, episodes: Iterable[tuple[str, str]]) -> None:
    """Undo `register_content` for pairs of SHA-256 and episode_id that a batch no longer has."""
    for sha256, episode in episodes:
        store.remove(f"{holders_key(sha256)}/{batch}+{episode}")
