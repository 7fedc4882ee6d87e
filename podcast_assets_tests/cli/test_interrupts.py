"""What an interruption leaves in the terminal."""

import logging

import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool, QueuePool

from podcast_assets.cli import interrupts


@pytest.mark.parametrize("pool", [NullPool, QueuePool])
@pytest.mark.parametrize(("error", "logged"), [(KeyboardInterrupt, False), (OSError, True)])
def test_an_interruption_while_a_connection_is_closed_prints_no_traceback(
    pool: type[NullPool] | type[QueuePool],
    error: type[BaseException],
    logged: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    interrupts.hide_interrupted_connections()
    engine = create_engine("sqlite://", poolclass=pool)

    def interrupted(connection: object) -> None:
        raise error

    with engine.connect() as connection, monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(engine.dialect, "do_close", interrupted)
        fairy = connection.connection
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                fairy.invalidate()
        else:
            fairy.invalidate()
    assert (
        any("closing connection" in record.message or "terminating" in record.message for record in caplog.records)
        == logged
    )
