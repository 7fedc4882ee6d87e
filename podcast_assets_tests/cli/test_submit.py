"""What `submit` says, and that what it is told of an episode's rights decides about its release."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from podcast_assets.cli.main import main
from podcast_assets.config.settings import Settings
from podcast_assets.intake.arrivals import find_arrival
from podcast_assets.intake.episodes import batch_rows, recordings
from podcast_assets.rights.store_clearance import judge_store
from podcast_assets.stages.compute.local import Local
from podcast_assets.stages.fetch import download_list
from podcast_assets.stages.ingest import Ingest, ingest_episode
from podcast_assets.stages.runner import run_stage
from podcast_assets.store.commits import commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, empty_table
from podcast_assets.store.store import Store
from podcast_assets_tests.servers.web_server import Resource, WebServer, web_server
from podcast_assets_tests.short_clip import write_clip

LICENSES = "cc-by,public-domain"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


def submit(store: Store, *arguments: str | Path) -> Result:
    environment = {"PODCAST_STORE": str(store.root), "PODCAST_LICENSES": LICENSES, "COLUMNS": "300"}
    return CliRunner().invoke(main, ["submit", *map(str, arguments)], env=environment)


def ingest(store: Store, batch: str) -> None:
    """Download, ingest and commit a list, as the asset does."""
    fetched = download_list(store, find_arrival(store, batch), Settings(allow_hosts="127.0.0.1", download_host_delay=0))
    found = recordings(fetched.unpacked.files, fetched.unpacked.identities)
    work = [ingest_episode(r.episode_id, r.shown, r.file.stored.sha256, r.file.stored.key) for r in found]
    stage = Ingest(store)
    run = run_stage(stage, batch, work, store, Local(stage, 2))
    rows = batch_rows(fetched.unpacked, found, fetched.metadata, run.table(), run.failures)
    commit(store, "raw_audio", batch, rows, empty_table(PROVENANCE), empty_table(FAILURES))


def test_an_episode_by_url_is_released_if_its_licence_is_given(server: WebServer, store: Store, tmp_path: Path) -> None:
    without, given = (
        server.put(f"/{n}.flac", Resource(write_clip(tmp_path / f"{n}.flac", n).read_bytes())) for n in (2, 3)
    )
    (tmp_path / "links.csv").write_text(f"Title;URL\nOne;{without}\n")
    listed = submit(store, tmp_path / "links.csv", "--batch", "mine")
    assert "batch mine: links.csv is a list of 1 episode URL" in listed.stderr
    options = ("--license", "CC-BY-4.0", "--podcast", "Night talk", "--title", "On sleep", "--speakers", "2-3")
    assert submit(store, given, "--batch", "mine", *options).exit_code == 0
    ingest(store, "mine")
    judged = {row["title"]: row for row in judge_store(store, LICENSES, {"mine"}).clearance.iter_rows(named=True)}
    assert (judged["One"]["cleared"], judged["One"]["reason"]) == (False, "license_missing")
    assert (judged["On sleep"]["cleared"], judged["On sleep"]["podcast"]) == (True, "Night talk")
    assert judged["On sleep"]["attribution"].startswith(f"“On sleep”, Night talk, {given}, CC-BY-4.0")


def test_what_is_wrong_with_a_list_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "links.jsonl").write_text('{"url": "https://x.org/a.mp3"}\n[]\n{"url": "https://x.org/a.mp3"}\n')
    found = submit(store, tmp_path / "links.jsonl", "--license", "CC-BY-NC-4.0", "--json")
    assert [(w["kind"], w["source"]) for w in json.loads(found.stdout)["warnings"]] == [
        ("row_unreadable", "links.jsonl, row 2"),
        ("skipped", "links.jsonl, row 3"),
    ]
    assert f"CC-BY-NC-4.0 is not among PODCAST_LICENSES ({LICENSES}): its episodes are processed" in found.stderr


def test_metadata_are_told_from_lists(store: Store, tmp_path: Path) -> None:
    write_clip(tmp_path / "show" / "a.flac", 1)
    (tmp_path / "about.csv").write_text("meta_id,title\na,One\n")
    found = submit(store, tmp_path / "show", tmp_path / "about.csv")
    assert "about.csv is metadata, joined by its column meta_id; a list of URLs has a column url" in found.stderr
    alone = submit(store, tmp_path / "about.csv")
    assert alone.exit_code != 0
    assert "about.csv: a list of URLs needs a column 'url'" in alone.stderr


def test_a_bucket_that_downloads_will_refuse_is_named_at_once(store: Store) -> None:
    found = submit(store, "s3://shows/a.mp3", "--batch", "b")
    assert json.loads(store.read("incoming/b.jsonl")) == {"url": "s3://shows/a.mp3"}
    assert "add s3://shows to PODCAST_ALLOW_HOSTS" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["https://x.org/a.mp3", "https://x.org/b.mp3", "--title", "One"], "--title is for one URL"),
        (["https://x.org/feed", "--speakers", "2"], "--podcast and --speakers are for episodes"),
        (["https://x.org/a.mp3", "--speakers", "many"], "'many' is not a number of speakers"),
    ],
)
def test_options_that_do_not_fit_are_refused(store: Store, arguments: list[str], message: str) -> None:
    found = submit(store, *arguments)
    assert found.exit_code != 0
    assert message in found.stderr
    assert not store.exists("incoming")
