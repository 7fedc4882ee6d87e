"""`dagster dev` (webserver, daemon, code server: the real ones) over the stub assets, and what people do beside it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import dagster as dg
import yaml

from podcast_assets.defs.instance import project_file
from podcast_assets_tests import graphql, waiting
from podcast_assets_tests.conftest import CHECKOUT, Place
from podcast_assets_tests.waiting import free_port, webserver_answers

PATIENCE = 420
wait_for = partial(waiting.wait_for, patience=PATIENCE)
LOCATION = "podcast_assets"
_LAUNCH = """
mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""


class StubDeployment:
    def __init__(self, place: Place, configuration: str, environment: Mapping[str, str]) -> None:
        self.place = place
        self.home = place.folder / "dagster_home"
        self.workspace = place.folder / "workspace.yaml"
        self.port = free_port()
        mine = {"PYTHONPATH": str(CHECKOUT), "PODCAST_SETTLE_SECONDS": "1", "STUB_SECONDS": "4"}
        self.environment = dict(place.environment(**mine | dict(environment)))
        self.home.mkdir(parents=True)
        content = yaml.safe_load(project_file(configuration).read_text())
        # as in production, only sooner
        content["run_monitoring"] |= {"poll_interval_seconds": 5, "free_slots_after_run_end_seconds": 5}
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(content))
        module = {"module_name": "podcast_assets_tests.defs.stub_code_server", "location_name": LOCATION}
        self.workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": module}]}))

    def drop(self, *batches: str) -> None:
        for batch in batches:
            self.place.store.write(f"incoming/{batch}.tar", b"x")

    def command(self, *arguments: str) -> str:
        """`podcast-assets …`; gives its standard error."""
        result = self.place.command(*arguments, **self.environment)
        assert result.returncode == 0, result.stderr
        return result.stderr

    def dagster(self, *arguments: str) -> None:
        result = subprocess.run(
            [sys.executable, "-m", "dagster", *arguments],
            env=self.environment,
            cwd=self.place.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr

    def materialize_in_the_ui(self, batch: str) -> None:
        """What the button *Materialize* of the asset graph sends."""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [
                {"path": [a]} for a in ("raw_audio", "diarized_segments", "transcripts", "quality_scores", "hf_shards")
            ],
        }
        tags = [{"key": "dagster/partition", "value": batch}]
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": tags}}
        answer = graphql.ask(self.port, _LAUNCH, {"params": params})["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer

    def stop_sensor(self, name: str) -> None:
        graphql.stop_sensor(self.port, LOCATION, name)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.home)) as found:
            yield found

    @contextmanager
    def up(self) -> Iterator[None]:
        arguments = ["dev", "-w", str(self.workspace), "-h", "127.0.0.1", "-p", str(self.port)]
        with (self.place.folder / "dev.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster", *arguments],
                env=self.environment,
                cwd=self.place.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                wait_for("the webserver", lambda: webserver_answers(self.port))
                yield
            finally:
                os.killpg(process.pid, signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=30)
                _kill_group(process.pid)
                process.wait()

    def log(self) -> str:
        return (self.place.folder / "dev.log").read_text()


def _kill_group(group: int) -> None:
    """Runs outlive the code server that began them."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def overlap(instance: dg.DagsterInstance, steps: set[str]) -> tuple[int, int]:
    """How many of some steps went on at once at most, and how many there were, by the event log of all runs."""
    moments: list[tuple[float, int]] = []
    for run in instance.get_runs():
        for record in instance.get_records_for_run(run.run_id).records:
            event = record.event_log_entry.dagster_event
            if event is None or event.step_key not in steps:
                continue
            if event.is_step_start:
                moments.append((record.event_log_entry.timestamp, 1))
            elif event.is_step_success or event.is_step_failure:
                moments.append((record.event_log_entry.timestamp, -1))
    most = held = 0
    for _, change in sorted(moments):
        held += change
        most = max(most, held)
    return most, sum(change > 0 for _, change in moments)


def named(folder: Path) -> set[str]:
    return {p.stem for p in folder.glob("*.parquet")}
