"""Refusal of taken-down content at ingest: a file of a batch, or a link of a list, becomes a skipped row without anything else."""

from podcast_assets.intake.downloads.urls import url_key
from podcast_assets.intake.duplicates.exact import holders_key
from podcast_assets.intake.links import Link
from podcast_assets.intake.metadata import JoinedMetadata, first_text
from podcast_assets.intake.names import episode_id
from podcast_assets.intake.unpack import SourceFile, UnpackedBatch
from podcast_assets.store.store import Store
from podcast_assets.store.takedown_records import Refusals


def refuse_files(store: Store, refusals: Refusals, unpacked: UnpackedBatch, joined: JoinedMetadata) -> None:
    """Move the files that were taken down to those that are skipped, and drop their metadata and their bytes.

    Args:
        store: where their bytes were put when the batch was taken apart.
        refusals: what was taken down.
        unpacked: what the batch holds; changed.
        joined: its metadata; changed.
    """
    if not refusals:
        return
    kept: list[SourceFile] = []
    refused: list[SourceFile] = []
    for file in unpacked.files:
        row, sha256 = joined.of(file.name), file.stored.sha256
        identity = unpacked.identities.get(file.name) or episode_id(file.name, sha256)
        why = refusals.why(
            episode_id=identity,
            sha256=[sha256, *unpacked.earlier.get(file.name, ())],
            podcast_id=first_text(row, "podcast_guid", "podcast_id"),
            podcast=first_text(row, "podcast", "podcast_title"),
        )
        if why is None:
            kept.append(file)
            continue
        refused.append(file)
        unpacked.skipped[file.name] = why
        unpacked.identities[file.name] = identity
        unpacked.earlier.pop(file.name, None)
        joined.rows.pop(file.name, None)
    unpacked.files = kept
    needed = {file.stored.key for file in kept}
    for file in refused:
        if file.stored.key not in needed and not store.names(holders_key(file.stored.sha256)):
            store.remove(file.stored.key)


def link_refusal(refusals: Refusals, link: Link) -> str | None:
    """Reason why a link is refused; None if it may be downloaded."""
    return refusals.why(
        episode_id=link.identity,
        podcast_id=first_text(link.row, "podcast_guid", "podcast_id"),
        podcast=first_text(link.row, "podcast", "podcast_title"),
        url_key=url_key(link.url),
    )
