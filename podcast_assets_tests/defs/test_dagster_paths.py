"""The ways in which people start work, against a real webserver and daemon: job launch, backfill, sensor; and what the UI shows."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import dagster as dg
import pytest

from podcast_assets.defs.partitions import BATCHES
from podcast_assets.store.schema import ASSETS
from podcast_assets_tests import graphql, waiting
from podcast_assets_tests.conftest import CHECKOUT, Place
from podcast_assets_tests.short_clip import drop_clip
from podcast_assets_tests.waiting import free_port, webserver_answers

PATIENCE = 600
WORKSPACE = str(CHECKOUT / "workspace.yaml")
LOCATION = "podcast_assets"
wait_for = partial(waiting.wait_for, patience=PATIENCE, every=1)


class Deployment:
    """`podcast-assets dev` on a port of its own, and what people do beside it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.port = free_port()
        self.environment = dict(place.environment(PODCAST_PROFILE="demo", PODCAST_SETTLE_SECONDS="3"))

    def command(self, *arguments: str) -> None:
        """`podcast-assets …`."""
        result = self.place.command(*arguments, **self.environment)
        assert result.returncode == 0, result.stderr

    def run(self, *arguments: str) -> None:
        result = subprocess.run(
            [sys.executable, "-m", *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr

    def materialized(self, asset: str) -> set[str]:
        with dg.DagsterInstance.from_config(str(self.place.folder / "dagster_home")) as instance:
            return instance.get_materialized_partitions(dg.AssetKey(asset))

    def runs(self, tags: dict[str, str]) -> list[dg.DagsterRun]:
        with dg.DagsterInstance.from_config(str(self.place.folder / "dagster_home")) as instance:
            return list(instance.get_runs(dg.RunsFilter(tags=tags)))

    def wait_for_batches(self, *batches: str) -> None:
        wait_for(f"the batches {batches}", lambda: set(batches) <= self.materialized("hf_shards"))

    def ensure_batches(self, *batches: str) -> None:
        """Materialize batches that no test before this one has materialized."""
        if missing := set(batches) - self.materialized("hf_shards"):
            self.command("backfill", *sorted(missing))
            self.wait_for_batches(*missing)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    found = Deployment(Place(tmp_path_factory.mktemp("deployment")))
    assert found.place.command("init").returncode == 0
    log = (found.place.folder / "dev.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "podcast_assets.cli", "dev", "--port", str(found.port)],
        env=found.environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        wait_for("the webserver", lambda: webserver_answers(found.port))
        graphql.stop_sensor(found.port, LOCATION, "new_batches")
        for batch, seconds in (("one", 5), ("two", 6), ("three", 7)):
            drop_clip(found.place.store, batch, seconds)
        yield found
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def test_job_launch_runs_one_batch(deployment: Deployment) -> None:
    deployment.command("add", "one")
    tags = '{"dagster/partition": "one"}'
    deployment.run("dagster", "job", "launch", "-w", WORKSPACE, "-j", "podcast_dataset", "--tags", tags)
    deployment.wait_for_batches("one")
    for asset in ASSETS:
        assert deployment.materialized(asset) == {"one"}


def test_a_backfill_over_three_batches_is_one_run(deployment: Deployment) -> None:
    deployment.command("backfill", "one", "two", "three")
    deployment.wait_for_batches("one", "two", "three")
    runs = deployment.runs({"podcast/source": "backfill"})
    assert len(runs) == 1
    assert runs[0].tags["dagster/asset_partition_range_start"] == "one"
    assert runs[0].tags["dagster/asset_partition_range_end"] == "three"
    wait_for("the end of the run", lambda: deployment.runs({"podcast/source": "backfill"})[0].is_finished)
    assert deployment.runs({"podcast/source": "backfill"})[0].status == dg.DagsterRunStatus.SUCCESS


def test_the_sensor_finds_a_fourth_batch(deployment: Deployment) -> None:
    """And leaves alone the three that are known, though it starts with an empty memory."""
    deployment.ensure_batches("one", "two", "three")
    drop_clip(deployment.place.store, "four", 8)
    graphql.start_sensor(deployment.port, LOCATION, "new_batches")
    deployment.wait_for_batches("four")
    (run,) = deployment.runs({"podcast/source": "sensor"})
    assert run.tags["dagster/partition"] == "four"
    assert run.tags["dagster/priority"] == "10"
    with dg.DagsterInstance.from_config(str(deployment.place.folder / "dagster_home")) as instance:
        assert set(instance.get_dynamic_partitions(BATCHES)) == {"one", "two", "three", "four"}


def test_the_ui_shows_who_speaks_when(deployment: Deployment) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    deployment.ensure_batches("one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.goto(f"http://127.0.0.1:{deployment.port}/assets/diarized_segments?view=partitions&partition=one")
        page.get_by_text("who_speaks_when").wait_for(timeout=PATIENCE * 1000)
        row = page.locator("tr", has_text="who_speaks_when")
        row.get_by_text("Show Markdown").click(timeout=PATIENCE * 1000)
        picture = page.locator("img[alt='who speaks when']")
        picture.wait_for(timeout=PATIENCE * 1000)
        assert picture.evaluate("image => image.naturalWidth") > 500
        browser.close()
