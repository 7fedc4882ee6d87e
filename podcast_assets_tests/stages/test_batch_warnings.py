"""What deserves a look in a batch, said alike by the commands, their JSON, and the checks."""

import json
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rich.console import Console

from podcast_assets.common.warned import KINDS, BatchWarning
from podcast_assets.defs.checks.tables import no_warnings, speech_found
from podcast_assets.stages.batch_warnings import batch_warnings, read_batch_warnings, summary_lines
from podcast_assets.stages.report import batch_report, show
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.schema import (
    FAILURES,
    PROVENANCE,
    RAW_AUDIO,
    SEGMENTS,
    TRANSCRIPTS,
    Columns,
    empty_table,
    make_table,
)
from podcast_assets.store.store import Store
from podcast_assets_tests.committed import failure
from podcast_assets_tests.conftest import Place
from podcast_assets_tests.short_clip import write_clip

AUDIO = {"duration": 1.0, "sha256": "00", "status": "done", "metadata": "{}"}


def table(columns: Columns, *rows: dict[str, Any], done: str = "", **more: Any) -> CommittedTable:
    blank: dict[str, Any] = dict.fromkeys(columns)
    return CommittedTable(
        make_table([blank | row for row in rows], columns),
        dict.fromkeys(done, "f"),
        {},
        empty_table(PROVENANCE),
        make_table(more.pop("failures", []), FAILURES),
        **more,
    )


def audio(identity: str, **columns: Any) -> dict[str, Any]:
    return AUDIO | {"episode_id": identity, "source": f"{identity}.mp3"} | columns


def segment(identity: str, *flags: str) -> dict[str, Any]:
    return {"episode_id": identity, "flags": list(flags)}


def test_each_kind_is_listed_with_its_file_and_reason() -> None:
    skipped = {"status": "skipped", "sha256": None, "metadata": None}
    failed = skipped | {"status": "failed"}
    unused = BatchWarning("metadata_joined_nothing", "m.csv", "none of its ids")
    rows = [
        audio("a", warnings=[{"kind": "gaps_filled", "message": "5.0 s"}, {"kind": "new_kind", "message": "x"}]),
        audio("b", metadata=None),
        *(audio(identity) for identity in "cde"),
        audio("x", source="x.zip", error="it is cut off", **failed),
        audio("y", source="y.parquet", error="metadata y.parquet cannot be read", **failed),
        audio("z", source="z.csv", error="a table without the column 'meta_id'; its columns are: a", **skipped),
        audio("n", source="n.txt", error="neither audio, video nor metadata by its name", **skipped),
    ]
    found = batch_warnings(
        {
            "raw_audio": table(RAW_AUDIO, *rows, warnings=(unused,)),
            "diarized_segments": table(
                SEGMENTS, *(segment(i, "no_speakers") for i in "aad"), segment("c"), done="abcd"
            ),
            "transcripts": table(
                TRANSCRIPTS,
                *(segment("a", flag) | {"text": "so"} for flag in ("uncovered_speech", "words_outside")),
                segment("c") | {"text": ""},
                done="ac",
                failures=[failure("transcribe", episode="d")],
            ),
            "second_opinions": table({}, failures=[failure("second", episode="a")]),
        }
    )
    assert [(w.kind, w.source) for w in found] == [
        ("failed", "d.mp3"),
        ("archive_broken", "x.zip"),
        ("metadata_failed", "y.parquet"),
        ("metadata_joined_nothing", "m.csv"),
        ("metadata_joined_nothing", "z.csv"),
        ("metadata_missing", "b.mp3"),
        ("gaps_filled", "a.mp3"),
        ("no_speech", "b.mp3"),
        ("no_words", "c.mp3"),
        ("uncovered_speech", "a.mp3"),
        ("no_speakers", "a.mp3"),
        ("no_speakers", "d.mp3"),
        ("optional_failed", "a.mp3"),
        ("new_kind", "a.mp3"),
        ("skipped", "n.txt"),
    ]
    messages = {(w.kind, w.source): w.message for w in found}
    assert messages["failed", "d.mp3"] == "transcribe: it failed"
    assert messages["gaps_filled", "a.mp3"] == "5.0 s"
    assert messages["no_speakers", "a.mp3"].startswith("2 segments: the diarizer failed")


def test_a_batch_of_which_only_the_first_stage_ran_has_no_opinion_on_speech() -> None:
    assert batch_warnings({"raw_audio": table(RAW_AUDIO, audio("a", metadata=None))}) == []
    assert batch_warnings({}) == []


def test_a_long_summary_counts_what_it_does_not_name() -> None:
    same = [BatchWarning("skipped", f"{n:02}.txt", "by its name") for n in range(14)]
    others = [BatchWarning("failed", f"{n:02}.mp3", f"reason {n}") for n in range(13)]
    lines = summary_lines(others + same)
    assert lines[0] == "deserves a look (27):"
    assert lines[1:3] == ["  failed: 13", "    00.mp3: reason 0"]
    assert lines[11:14] == ["    09.mp3: reason 9", "    and 3 more", "  skipped: 14"]
    assert lines[14].startswith("    00.txt, 01.txt, ")
    assert lines[14].endswith("09.txt and 4 more: by its name")
    assert summary_lines([]) == []


def test_what_no_row_tells_is_kept_with_the_table(tmp_path: Path) -> None:
    store, unused = Store.at(tmp_path), BatchWarning("metadata_joined_nothing", "[m] ü.csv", "none")
    rows = make_table([dict.fromkeys(RAW_AUDIO) | audio("a")], RAW_AUDIO)
    commit(store, "raw_audio", "b", rows, empty_table(PROVENANCE), empty_table(FAILURES), [unused])
    assert read_batch_warnings(store, "b") == [unused]
    report = batch_report(store, "b", {})
    assert report.to_json()["warnings"] == [asdict(unused)]
    out = StringIO()
    show(report, store, Console(file=out, width=200))
    assert out.getvalue().endswith("  metadata joined nothing: 1\n    [m] ü.csv: none\n")


def test_checks_warn_of_all_but_what_was_only_skipped() -> None:
    skipped = BatchWarning("skipped", "n.txt", "by its name")
    assert no_warnings([skipped]).passed
    told = no_warnings([BatchWarning("gaps_filled", "a.mp3", "5.0 s"), skipped])
    assert (told.passed, told.facts["gaps_filled"]) == (False, 1)
    assert "    a.mp3: 5.0 s" in told.facts["warnings"]
    assert speech_found({"a": "a.mp3", "b": "b.mp3"}, {"a"}).facts["without_speech"] == ["b.mp3"]
    assert speech_found({"a": "a.mp3"}, {"a"}).passed


def test_every_kind_has_a_meaning() -> None:
    assert all(kind == kind.lower() and meaning for kind, meaning in KINDS.items())


@pytest.mark.usefixtures("dagster_home")
def test_a_run_says_what_deserves_a_look_and_can_be_asked_again(place: Place) -> None:
    folder = place.folder / "show"
    write_clip(folder / "water-history.flac", 6)
    soundfile.write(folder / "silence.wav", np.zeros(16_000), 16_000)
    (folder / "metadata.csv").write_bytes("Meta ID;Title\nep 1;Größe\n".encode("cp1252"))
    (folder / "bad.parquet").write_bytes(b"no table")
    done = place.command("run", "show", "--batch", "b", "--profile", "embedded", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {e["source"]: e["status"] for e in report["episodes"]} == {
        "bad.parquet": "failed",
        "silence.wav": "done",
        "water-history.flac": "done",
    }
    found = [(w["kind"], w["source"]) for w in report["warnings"]]
    assert found == [
        ("metadata_failed", "bad.parquet"),
        ("metadata_joined_nothing", "metadata.csv"),
        ("no_speech", "silence.wav"),
    ]
    again = place.command("warnings", "--json")
    assert json.loads(again.stdout) == [{"batch": "b", **w} for w in report["warnings"]]
    listed = json.loads(place.command("episodes", "b", "--json").stdout)
    assert {e["source"]: (e["status"], e["no_speech"]) for e in listed}["silence.wav"] == ("done", True)
    told = place.command("backfill", "b", "--here", "--profile", "embedded").stderr
    assert "batch b deserves a look (3):\n  metadata failed: 1\n    bad.parquet: " in told
    submitted = place.command("submit", "show", "--batch", "c", "--json")
    assert [w["kind"] for w in json.loads(submitted.stdout)["warnings"]] == [kind for kind, _ in found[:2]]
