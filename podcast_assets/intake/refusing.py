"""Refusal of taken-down content at ingest: the file or link becomes a skipped row without metadata."""

from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.duplicates.exact import holders_key
from podcast_assets.intake.file_names import file_episode_id
from podcast_assets.intake.links import Link
from podcast_assets.intake.metadata import JoinedMetadata, first_text
from podcast_assets.intake.unpack import SourceFile, UnpackedBatch
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals


def refuse_files(store: Store, refusals: Refusals, unpacked: UnpackedBatch, joined: JoinedMetadata) -> None:
    """Mark taken-down files of a batch as skipped, and remove their metadata and their stored bytes.

    Args:
        store: store with the unpacked files.
        refusals: taken-down content.
        unpacked: contents of the batch; modified.
        joined: metadata of the batch; modified.
    """
    if not refusals:
        return
    allowed: list[SourceFile] = []
    refused: list[SourceFile] = []
    for file in unpacked.files:
        row, sha256 = joined.of(file.name), file.stored.sha256
        identity = unpacked.identities.get(file.name) or file_episode_id(file.name, sha256)
        reason = refusals.why(
            episode_id=identity,
            sha256=[sha256, *unpacked.earlier.get(file.name, ())],
            podcast_id=first_text(row, "podcast_guid", "podcast_id"),
            podcast=first_text(row, "podcast", "podcast_title"),
        )
        if reason is None:
            allowed.append(file)
            continue
        refused.append(file)
        unpacked.skipped[file.name] = reason
        unpacked.identities[file.name] = identity
        unpacked.earlier.pop(file.name, None)
        joined.rows.pop(file.name, None)
    unpacked.files = allowed
    keys_in_use = {file.stored.key for file in allowed}
    for file in refused:
        if file.stored.key not in keys_in_use and not store.names(holders_key(file.stored.sha256)):
            store.remove(file.stored.key)


def link_refusal(refusals: Refusals, link: Link) -> str | None:
    """Reason why a link is refused; None if it may be downloaded."""
    return refusals.why(
        episode_id=link.identity,
        podcast_id=first_text(link.row, "podcast_guid", "podcast_id"),
        podcast=first_text(link.row, "podcast", "podcast_title"),
        url_key=url_key(link.url),
    )
