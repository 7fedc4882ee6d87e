"""What people are told of a batch: every name as it is, and the end of a run in its exit code."""

import json
import shutil
import warnings
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from podcast_assets.cli import main as cli
from podcast_assets.cli import settings as cli_settings
from podcast_assets.cli import terminal as cli_terminal
from podcast_assets.common import plots
from podcast_assets.common.errors import BadInput
from podcast_assets.stages.report import batch_report, nothing_done, show
from podcast_assets.store.schema import HF_SHARDS, RAW_AUDIO, SEGMENTS, TRANSCRIPTS, Columns, make_table
from podcast_assets.store.store import Store, table_key, transcript_key
from podcast_assets.transcripts import to_markdown
from podcast_assets_tests.conftest import Place

ODD = ["Title [dqw4].mp3", "[shows]/x [/live].mp3", ":smile: [red] x.mp3"]


def write(store: Store, asset: str, columns: Columns, *rows: dict[str, Any]) -> None:
    blank: dict[str, Any] = dict.fromkeys(columns)
    store.write_table(table_key(asset, "b"), make_table([blank | row for row in rows], columns))


def episode(source: str, status: str, error: str | None = None) -> dict[str, Any]:
    return {"episode_id": source, "source": source, "status": status, "error": error, "duration": 1.0}


@pytest.mark.parametrize("name", ODD)
def test_names_texts_and_errors_are_shown_as_they_are(tmp_path: Path, name: str) -> None:
    store = Store.at(tmp_path)
    audio = episode(name, "done")
    said = {"segment_id": "s", "episode_id": name, "speaker": "[b]A", "start": 0.0, "end": 1.0, "text": "so [/x] <unk>"}
    write(store, "raw_audio", RAW_AUDIO, audio, episode("f.mp3", "failed", "no [/key]"), episode("n", "skipped", "[n]"))
    write(store, "diarized_segments", SEGMENTS, {k: v for k, v in said.items() if k != "text"})
    write(store, "transcripts", TRANSCRIPTS, {"segment_id": "s", "episode_id": name, "text": said["text"]})
    write(store, "hf_shards", HF_SHARDS, said | {"keep": False, "reject_reasons": ["[why]"], "shard": "x.tar"})
    path = store.path(transcript_key("b", name, "md"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_markdown(audio, [said]))
    out = StringIO()
    show(batch_report(store, "b", {}), store, Console(file=out, width=200))
    shown = out.getvalue()
    assert shown.count(name) == 4, "in the table of episodes, over the transcript, in it, and over the segments"
    assert shown.count("so [/x] <unk>") == 2
    assert all(part in shown for part in ("no [/key]", "skipped [n]", "[b]A", "[why]"))


def test_files_that_failed_alike_are_counted_in_the_table(tmp_path: Path) -> None:
    store = Store.at(tmp_path)
    failed = [episode(f"{n}.mp3", "failed", f"{n}.mp3: cut off at byte {n}") for n in range(1000)]
    write(store, "raw_audio", RAW_AUDIO, *failed, episode("x.txt", "skipped", "not audio"))
    out = StringIO()
    show(batch_report(store, "b", {}), store, Console(file=out, width=200))
    table = out.getvalue().partition("files")[0]
    assert "and 995 more" in table
    assert "failed FILE: cut off at byte N" in table
    assert "x.txt" in table
    assert len(table.splitlines()) < 20


def test_of_a_long_transcript_the_beginning_is_shown_and_where_the_rest_lies(tmp_path: Path) -> None:
    store, audio = Store.at(tmp_path), episode("long.mp3", "done")
    said = [{"segment_id": f"s{n}", "episode_id": "long.mp3", "speaker": f"S{n % 2}", "start": n} for n in range(200)]
    write(store, "raw_audio", RAW_AUDIO, audio)
    write(store, "transcripts", TRANSCRIPTS, {"segment_id": "s0", "episode_id": "long.mp3", "text": "words"})
    path = store.path(transcript_key("b", "long.mp3", "md"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_markdown(audio, [s | {"text": f"turn {n:03}."} for n, s in enumerate(said)]))
    out = StringIO()
    show(batch_report(store, "b", {}), store, Console(file=out, width=200))
    shown = out.getvalue()
    assert "turn 010." in shown
    assert "turn 100." not in shown
    assert f"more turns, in {path}" in shown


def test_markdown_shows_names_and_texts_as_they_are() -> None:
    said = "a *b* _c_ <d> [e](f) `g` &amp; h_i \\\\ j"
    out = StringIO()
    text = to_markdown({"source": "x\ny", "duration": 1.0}, [{"speaker": "S_0", "start": 0.0, "text": said}])
    from rich.markdown import Markdown

    Console(file=out, width=200).print(Markdown(text))
    assert f"S_0 [0:00] {said}" in out.getvalue()
    assert "x y" in out.getvalue()


@pytest.mark.parametrize("name", ODD)
def test_errors_of_the_commands_are_shown_as_they_are(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise BadInput(f"{name}: is not there")

    monkeypatch.setattr(cli_terminal, "messages", Console(stderr=True, highlight=False))
    monkeypatch.setattr(cli_settings, "load_settings", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main(["settings"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"podcast-assets: {name}: is not there\n"


def test_reasons_of_profiles_are_shown_as_they_are(place: Place) -> None:
    assert (
        "models/[a] [/b]"
        in place.command("profiles", PODCAST_WHISPER_MODEL="models/[a] [/b]", PODCAST_ENGINES="{}").stdout
    )


def test_nothing_done_needs_a_failure_and_nothing_that_is_done(tmp_path: Path) -> None:
    store = Store.at(tmp_path)

    def told(*episodes: dict[str, Any]) -> str | None:
        write(store, "raw_audio", RAW_AUDIO, *episodes)
        return nothing_done(batch_report(store, "b", {}))

    assert told(episode("a", "done"), episode("c", "failed", "broken")) is None
    assert told(episode("a", "skipped", "not audio")) is None
    assert told(episode("a", "skipped", "not audio"), episode("c", "failed", "bad"), episode("d", "failed", "x")) == (
        "no episode of batch b is done: 2 failed; the first: c: bad"
    )


@pytest.mark.usefixtures("dagster_home")
def test_a_batch_of_which_nothing_is_done_ends_with_an_error(place: Place) -> None:
    (place.folder / "text.mp3").write_text("no audio at all")
    result = place.command("run", "text.mp3", "--batch", "b", "--profile", "embedded", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["episodes"][0]["status"] == "failed"
    last = result.stderr.splitlines()[-1]
    assert last.startswith("no episode of batch b is done: 1 failed; the first: text.mp3: ingest: is not an audio")


@pytest.mark.usefixtures("dagster_home")
def test_backfill_of_all_passes_over_batches_that_are_gone(place: Place) -> None:
    for batch in ("old", "new"):
        folder = Path(str(place.store.path(f"incoming/{batch}")))
        folder.mkdir(parents=True)
        (folder / "a.wav").write_bytes(b"")
    assert place.command("add", "--all").returncode == 0
    shutil.rmtree(str(place.store.path("incoming/old")))
    result = place.command("backfill", "--all")
    assert result.returncode == 0, result.stderr
    warning, requested = result.stderr.splitlines()
    assert warning == "skipped, because their sources are no longer under incoming/: old"
    assert "of 1 batch requested" in requested
    named = place.command("backfill", "old", "new")
    assert named.returncode == 2
    assert "not found under incoming/: old" in named.stderr


def test_pictures_take_names_of_any_kind() -> None:
    segments = [{"start": 0.0, "end": 1.0, "speaker": "A"}]
    names = ["$x_{$", "costs $5 or $\\frac$", "日本語.mp3", "tab\tand\nline", "\U0001f600"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for picture in (
            plots.draw_timeline([(name, segments) for name in names]),
            plots.draw_bars([(name, 1.0) for name in names], label="s"),
            plots.draw_histograms([(name, [1.0, 2.0]) for name in names], label="s"),
        ):
            assert picture.startswith(b"\x89PNG")
