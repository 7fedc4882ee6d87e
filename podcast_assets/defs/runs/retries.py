"""Which failed runs Dagster's daemon retries: those that an asset's own error did not end.

`run_retries` in `dagster.yaml` retries every failed run. If the connection to the database breaks, Dagster reports the current step
as failed, as if its asset had raised an error, and a retry helps. If an asset did raise an error, a retry would raise it again, so
a tag of the run disables it.
"""

import contextlib
from collections.abc import Iterator

import dagster as dg
import sqlalchemy.exc

RETRIED = "dagster/retry_on_asset_or_op_failure"
"""Dagster's tag, which overrides the setting of the instance for its run."""


def disable_retry(instance: dg.DagsterInstance, run_id: str) -> None:
    """Do not retry a run if one of its steps fails."""
    instance.add_run_tags(run_id, {RETRIED: "false"})


@contextlib.contextmanager
def retry_only_database_errors(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[None]:
    """Disable the retry of a run if an error in the block does not come from Dagster's database."""
    if run.tags.get(RETRIED) == "false":  # inherited from the run that this one repeats
        instance.add_run_tags(run.run_id, {RETRIED: "true"})
    try:
        yield
    except Exception as error:
        if not _is_database_error(error):
            disable_retry(instance, run.run_id)
        raise


def _is_database_error(error: BaseException | None) -> bool:
    """Whether an error of SQLAlchemy is the error or among its causes; dagster-postgres wraps it in errors of its own."""
    while error is not None:
        if isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            return True
        error = error.__cause__
    return False
