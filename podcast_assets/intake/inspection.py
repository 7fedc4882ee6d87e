"""What is known of files before they are a batch: whether their metadata can be read, and name any of them."""

from collections.abc import Sequence
from pathlib import Path

from podcast_assets.common.warned import BatchWarning
from podcast_assets.intake.batch_metadata import MetadataSource, read_metadata
from podcast_assets.intake.file_names import reason_to_skip, split_name
from podcast_assets.intake.metadata import METADATA_SUFFIXES
from podcast_assets.intake.place import find_input_files
from podcast_assets.intake.unpack import ARCHIVE_SUFFIXES


def inspect_inputs(inputs: Sequence[Path], key: str, *, follow_links: bool = False) -> list[BatchWarning]:
    """Warn of what is not opened, and of metadata that cannot be read or name none of the files. Archives are not opened.

    Args:
        inputs: files, folders and archives of a batch.
        key: column of the metadata with the names of files.
        follow_links: whether symbolic links in the folders are followed.

    Raises:
        BadInput: see `find_input_files`.
    """
    if not inputs:
        return []
    found = find_input_files(inputs, follow_links=follow_links)
    files = {name: file.path for name, file in found.files.items()}
    suffixes = {name: split_name(name)[1] for name in files if reason_to_skip(name, METADATA_SUFFIXES) is None}
    recordings = [n for n, suffix in suffixes.items() if suffix not in METADATA_SUFFIXES | ARCHIVE_SUFFIXES]
    warnings = [BatchWarning("skipped", name, reason) for name, reason in found.refused.items()]
    metadata = [MetadataSource(n, files[n]) for n, suffix in suffixes.items() if suffix in METADATA_SUFFIXES]
    read = read_metadata(recordings, metadata, key)
    warnings += [BatchWarning("metadata_joined_nothing", name, reason) for name, reason in read.skipped]
    warnings += [BatchWarning("metadata_failed", name, reason) for name, reason in read.broken]
    # names in archives are not known yet, and metadata may be meant for them
    if ARCHIVE_SUFFIXES.isdisjoint(suffixes.values()):
        warnings += [BatchWarning("metadata_failed", name, error) for name, error in read.joined.broken.items()]
        warnings += read.joined.unused
    return warnings
