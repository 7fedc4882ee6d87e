"""Which failed runs Dagster's daemon tries again by itself: those that did not fail by their own work.

`run_retries` of `dagster.yaml` retries every failed run. The database may be cut off at any of a step's events, and Dagster then
reports that step as failed as if its asset had raised. An asset that does raise would raise again; the run is told so by a tag.
"""

import contextlib
from collections.abc import Iterator

import dagster as dg
import sqlalchemy.exc

RETRIED = "dagster/retry_on_asset_or_op_failure"
"""Dagster's tag, which for its run stands above the setting of the instance."""


def disable_retry(instance: dg.DagsterInstance, run_id: str) -> None:
    """Have a run not tried again where it fails by one of its steps."""
    instance.add_run_tags(run_id, {RETRIED: "false"})


@contextlib.contextmanager
def retry_only_database_errors(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[None]:
    """What raises in the block would raise again, and ends its run for good; unless Dagster's database raised it."""
    if run.tags.get(RETRIED) == "false":  # of the run that this one repeats
        instance.add_run_tags(run.run_id, {RETRIED: "true"})
    try:
        yield
    except Exception as error:
        if not _of_the_database(error):
            disable_retry(instance, run.run_id)
        raise


def _of_the_database(error: BaseException | None) -> bool:
    """Whether Dagster's storage raised an error, or is behind it: SQLAlchemy's error is the cause of dagster-postgres' own."""
    while error is not None:
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            return True
        error = error.__cause__
    return False
