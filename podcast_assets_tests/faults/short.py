"""The sample batch with only the first seconds of each episode: as many files, formats and failures, a third of the work."""

import io
import json
import tarfile
from collections.abc import Collection
from pathlib import Path

import av

from podcast_assets_tests.conftest import Place, SampleRun, SharedFolders
from podcast_assets_tests.miniature import BATCH

SECONDS = 10.0
"""Kept of an episode: more than one window of every model."""
TRUNCATED = "morning-team.mp3"


def first_seconds(path: Path, seconds: float = SECONDS) -> bytes:
    """The beginning of an audio file, in the same container, without encoding it again."""
    kept = io.BytesIO()
    kept.name = path.name  # whose ending names the container
    with av.open(str(path)) as whole, av.open(kept, "w") as cut:
        stream = whole.streams.audio[0]
        copied = cut.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.pts is None or packet.time_base is None or packet.pts * packet.time_base > seconds:
                continue
            packet.stream = copied
            cut.mux(packet)
    return kept.getvalue()


def write_short_archive(path: Path) -> None:
    """Pack the short sample batch into a tar archive."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member in sorted(BATCH.iterdir()):
            whole = member.suffix == ".parquet" or member.name == TRUNCATED
            data = member.read_bytes() if whole else first_seconds(member)
            entry = tarfile.TarInfo(member.name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def short_run(shared: SharedFolders) -> SampleRun:
    """The short sample batch after an undisturbed `podcast-assets demo --json`, made once for all workers."""
    folder = shared.make_once("short-sample", _run_demo)
    return SampleRun(Place(folder), json.loads((folder / "report.json").read_text()), "")


def lay_out(run: SampleRun, place: Place, batch: str = "sample", without: Collection[str] = ()) -> None:
    """Put the archive of the short sample batch under `incoming/`, where `podcast-assets demo` finds it in place of its own.

    Args:
        run: the short sample batch, see `short_run`.
        place: where to put the archive.
        batch: name of the batch there.
        without: files that are left out.
    """
    with (
        run.store.open("incoming/sample.tar") as whole,
        tarfile.open(fileobj=whole) as archive,
        place.store.writing(f"incoming/{batch}.tar") as target,
        tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as copy,
    ):
        for entry in archive:
            if entry.name not in without:
                copy.addfile(entry, archive.extractfile(entry))


def _run_demo(folder: Path) -> None:
    (folder / "store" / "incoming").mkdir(parents=True)
    write_short_archive(folder / "store" / "incoming" / "sample.tar")
    result = Place(folder).command("demo", "--json")
    assert result.returncode == 0, result.stderr
    (folder / "report.json").write_text(result.stdout)
