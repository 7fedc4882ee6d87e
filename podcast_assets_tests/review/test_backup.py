"""What people decided survives the database, and who they are; who was logged in does not."""

from pathlib import Path

from sqlalchemy import Engine, select, text

from podcast_assets.catalog.kept import KEY, backup, restore
from podcast_assets.catalog.tables import METADATA, SCHEMA, kept_tables
from podcast_assets.review.accounts import authenticate, open_session, session_user, set_password
from podcast_assets.review.decisions import decide, undo
from podcast_assets.review.leases import next_item
from podcast_assets.review.queues import Criteria, queue_lengths, refresh_queues
from podcast_assets.review.tokens import add_token, check_token
from podcast_assets.store.store import Store
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import fill_batch, segment_ref, window_ref


def kept_rows(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        return {t.name: sorted(str(tuple(row)) for row in connection.execute(select(t))) for t in kept_tables()}


def test_a_backup_brings_back_users_tokens_and_decisions(catalog: Engine, tmp_path: Path) -> None:
    store = Store.at(tmp_path / "store")
    fill_batch(catalog)
    criteria = Criteria(second_look=0)
    refresh_queues(catalog, criteria)
    ada = make_user(catalog, "ada")
    set_password(catalog, "ada", "correct horse battery")
    _, secret = add_token(catalog, "manager", ["submit", "read"])
    session = open_session(catalog, ada, "192.0.2.7")
    assert next_item(catalog, ada, "flagged")
    decide(catalog, ada, window_ref(0), "label", {"harassment": True, "hate_speech": True}, shown={"a": [1, None]})
    decide(catalog, ada, segment_ref(1), "text", {"text": 'zażółć \u2028 "quoted"'}, note="line\nline")
    undo(catalog, ada)
    before = kept_rows(catalog)
    counts = backup(catalog, store)
    assert {name: counts[name] for name in ("users", "tokens", "decisions")} == {
        "users": 1,
        "tokens": 1,
        "decisions": 3,
    }
    for leaked in (session.secret, secret, "correct horse"):
        assert leaked.encode() not in store.read(KEY)
    with catalog.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        names = ", ".join(f"{SCHEMA}.{table.name}" for table in METADATA.sorted_tables)
        connection.execute(text(f"TRUNCATE {names} CASCADE"))
    fill_batch(catalog)
    refresh_queues(catalog, criteria)
    assert restore(catalog, store)["decisions"] == 3
    assert kept_rows(catalog) == before
    assert not any(restore(catalog, store).values()), "once more adds nothing"
    assert authenticate(catalog, "ada", "correct horse battery", "192.0.2.7") == ada
    assert check_token(catalog, secret, "read").name == "manager"
    assert session_user(catalog, session.secret) is None
    refresh_queues(catalog, criteria)
    assert queue_lengths(catalog, ada)["flagged"].done == 1
