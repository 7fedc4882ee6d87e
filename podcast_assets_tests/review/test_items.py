"""What a reviewer sees and hears of an item."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text, update

from podcast_assets.catalog.loading.load import _empty_decisions, load_batch
from podcast_assets.catalog.tables import EPISODES
from podcast_assets.review.audio import open_audio
from podcast_assets.review.decisions import decide, undo
from podcast_assets.review.errors import ItemGone
from podcast_assets.review.item_words import Word
from podcast_assets.review.items import load_item, load_items
from podcast_assets.review.refs import ItemRef
from podcast_assets.review.texts import align_words
from podcast_assets.store.commits import CommittedTable, commit
from podcast_assets.store.schema import FAILURES, PROVENANCE, empty_table
from podcast_assets.store.store import Store, sealed_key
from podcast_assets_tests.catalog.filled_store import commit_filled_batch
from podcast_assets_tests.review.conftest import make_user
from podcast_assets_tests.review.filled_catalog import fill_batch, segment_ref, window_ref


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(tmp_path / "store")


def test_a_window_with_its_context_labels_and_policy(catalog: Engine, store: Store) -> None:
    fill_batch(catalog, segments=9)
    item = load_item(catalog, store, window_ref(4), context=2, policies={"0" * 64: "# Overview"})
    assert [s.text for s in (*item.before, *item.segments, *item.after)] == [f"what was said {n}" for n in range(2, 7)]
    assert [s.judged for s in (*item.before, *item.segments, *item.after)] == [False, False, True, False, False]
    assert (item.start, item.end, item.title, item.podcast_title, item.language) == (
        12,
        15,
        "<b>first-one</b>",
        "A Show",
        "en",
    )
    assert [(label.slug, label.probability, label.verdict) for label in item.labels] == [
        ("harassment", 0.1, "clean"), ("hate_speech", 0.1, "clean"),
    ]  # fmt: skip
    assert (item.policy, item.policy_text, item.blind) == ("harmful", "# Overview", False)
    [segment] = item.segments
    assert [(w.word, w.start) for w in segment.words] == [("what", 12.0), ("was", 12.5), ("said", 13.0), ("4", 13.5)]
    assert segment.scores == {"keep": True, "reject_reasons": [], "second_wer": 0.0}
    assert segment.second_text == "what was 4"
    assert item.shown()["probabilities"] == {"harassment": 0.1, "hate_speech": 0.1}
    blind = load_item(catalog, store, window_ref(4), blind=True)
    assert {(label.probability, label.verdict, label.model) for label in blind.labels} == {(None, None, None)}
    assert blind.segments[0].scores == {}
    assert "probabilities" not in blind.shown()


def test_corrections_are_seen_but_for_blind_reviews(catalog: Engine, store: Store) -> None:
    fill_batch(catalog, episodes=("one", "two"))
    ada, bob = make_user(catalog, "ada"), make_user(catalog, "bob")
    ref = segment_ref(1)
    decide(catalog, ada, ref, "rename_speaker", {"scope": "podcast", "speaker": "S1", "name": "Sam"})
    decide(catalog, ada, ref, "rename_speaker", {"scope": "episode", "speaker": "S1", "name": "Samuel"})
    decide(catalog, ada, ref, "reassign", {"segments": [segment_ref(2).item_id], "speaker": "S1"})
    decide(catalog, ada, ref, "text", {"text": "what they said"})
    item = load_item(catalog, store, ref, user=ada)
    assert [(s.speaker, s.speaker_name, s.reviewed_text) for s in (*item.segments, *item.after)] == [
        ("S1", "Samuel", "what they said"), ("S1", "Samuel", None), ("S1", "Samuel", None),
    ]  # fmt: skip
    assert not item.blind
    for user in (bob, None):
        seen = load_item(catalog, store, ref, user=user, blind=user is None)
        assert (seen.blind, seen.segments[0].reviewed_text, seen.segments[0].text) == (True, None, "what was said 1")
    other = load_item(catalog, store, segment_ref(1, episode="two"))
    assert other.segments[0].speaker_name == "Sam"
    for _ in range(4):
        undo(catalog, ada)
    assert load_item(catalog, store, segment_ref(1, episode="two")).segments[0].speaker_name is None
    assert load_item(catalog, store, ref).after[0].speaker == "S0"


def test_a_failure_and_what_is_gone(catalog: Engine, store: Store) -> None:
    fill_batch(catalog)
    failure = ItemRef.failure("first", "first-broken", "transcribe")
    item = load_item(catalog, store, failure)
    assert item.failure
    assert (item.failure.error_type, item.failure.permanent, item.segments) == ("CorruptAudio", True, ())
    gone = [
        segment_ref(77),
        window_ref(77),
        ItemRef.failure("first", "first-one", "ingest"),
        segment_ref(1, batch="no"),
    ]
    for ref in gone:
        with pytest.raises(ItemGone):
            load_item(catalog, store, ref)
    assert [item.ref for item in load_items(catalog, store, [*gone, segment_ref(1)])] == [segment_ref(1)]


@pytest.mark.parametrize("words", [True, False])
def test_words_come_from_the_store_where_the_catalog_has_none(catalog: Engine, store: Store, words: bool) -> None:
    commit_filled_batch(store, "first")
    load_batch(catalog, store, "first", words=words)
    row = CommittedTable.read(store, "transcripts", "first").rows.row(1, named=True)
    item = load_item(catalog, store, ItemRef.segment("first", row["episode_id"], row["segment_id"]))
    assert [vars(word) for word in item.segments[0].words] == row["words"]


def test_audio_is_read_in_parts(catalog: Engine, store: Store) -> None:
    fill_batch(catalog)
    whole = io.BytesIO()
    soundfile.write(whole, np.tile(np.array([0.0, 0.1], np.float32), 8000), 16_000, format="FLAC")
    data = whole.getvalue()
    store.write("audio/working/ab/one.flac", data)
    with catalog.begin() as connection:
        connection.execute(update(EPISODES).values(working="audio/working/ab/one.flac"))
    audio = open_audio(catalog, store, "first", "first-one")
    assert (audio.size, audio.media_type, audio.offset) == (len(data), "audio/flac", 0)
    for start, end in (
        (0, len(data)),
        (10, 20),
        (len(data) - 5, len(data) + 50),
        (-3, 2),
        (50, 50),
        (10**12, 10**13),
        (9, 3),
    ):
        assert audio.read(start, end) == data[max(0, start) : max(0, end)]
    audio.close()
    for batch, episode in (
        ("first", "../../audio"),
        ("first", "first-two"),
        ("first/../second", "first-one"),
        ("", ""),
    ):
        with pytest.raises(ItemGone):
            open_audio(catalog, store, batch, episode)
    store.remove("audio/working/ab/one.flac")
    with pytest.raises(ItemGone, match="not in the store"):
        open_audio(catalog, store, "first", "first-one", segment_ref(1).item_id)
    with catalog.begin() as connection:
        connection.execute(update(EPISODES).values(status="failed"))
    with pytest.raises(ItemGone, match="taken down"):
        open_audio(catalog, store, "first", "first-one")


def test_audio_of_a_segment_comes_from_its_shard_where_the_rest_is_gone(catalog: Engine, store: Store) -> None:
    commit_filled_batch(store, "first")
    table = CommittedTable.read(store, "hf_shards", "first").rows
    row = table.row(1, named=True)
    load_batch(catalog, store, "first", words=False)
    placed = table.with_columns(
        audio_offset=pl.lit(7, pl.Int64), audio_size=pl.lit(9, pl.Int64), audio_sha256=pl.lit("ab" * 32)
    )
    commit(store, "hf_shards", "first", placed, empty_table(PROVENANCE), empty_table(FAILURES))
    store.write(sealed_key("first", row["shard"]), b"before-fLaC12345after")
    audio = open_audio(catalog, store, "first", row["episode_id"], row["segment_id"])
    assert (audio.size, audio.media_type, audio.offset) == (9, "audio/flac", row["start"])
    assert audio.read(0, 99) == b"fLaC12345"
    for episode, segment in (
        (row["episode_id"], None),
        (row["episode_id"], "another"),
        ("first-two", row["segment_id"]),
    ):
        with pytest.raises(ItemGone):
            open_audio(catalog, store, "first", episode, segment)


def test_taken_down_episodes_leave_no_text_behind(catalog: Engine, store: Store) -> None:
    fill_batch(catalog)
    ada = make_user(catalog, "ada")
    decide(
        catalog, ada, segment_ref(1), "text", {"text": "quoted words"}, note="quoted words", shown={"t": "quoted words"}
    )
    decide(catalog, ada, window_ref(0), "label", {"harassment": True, "hate_speech": True}, note="quoted words")
    with catalog.begin() as connection:
        _empty_decisions(connection, "first", ["first-one"])
    with catalog.connect() as connection:
        kept = [
            tuple(r)
            for r in connection.execute(
                text("SELECT action, value, decided_by FROM podcast_catalog.decisions ORDER BY 1")
            )
        ]
        everything = connection.scalar(text("SELECT string_agg(d::text, ' ') FROM podcast_catalog.decisions d"))
    assert kept == [("label", {"harassment": True, "hate_speech": True}, "ada"), ("text", None, "ada")]
    assert "quoted" not in str(everything)


WORDS = [
    Word("What,", 0.0, 0.4, 0.9),
    Word("was", 0.5, 0.9, 0.8),
    Word("said", 1.0, 1.4, 0.7),
    Word("here", 2.0, 2.4, 0.6),
]


def test_words_that_stay_keep_their_times() -> None:
    found = align_words(WORDS, "what they have said over here!", 0.0, 3.0)
    assert [(w.word, w.start, w.end, w.probability) for w in found] == [
        ("what", 0.0, 0.4, 0.9),
        ("they", 0.5, 0.7, None),
        ("have", 0.7, 0.9, None),
        ("said", 1.0, 1.4, 0.7),
        ("over", 1.4, 2.0, None),
        ("here!", 2.0, 2.4, 0.6),
    ]
    assert align_words(WORDS, "", 0.0, 3.0) == []
    assert [(w.start, w.end) for w in align_words([], "ab cdef", 1.0, 4.0)] == [(1.0, 2.0), (2.0, 4.0)]


@given(st.text(max_size=60), st.lists(st.sampled_from(["what", "was", "said", "x"]), max_size=6))
def test_corrected_words_are_those_of_the_text_in_order(corrected: str, before: list[str]) -> None:
    words = [Word(word, float(n), n + 0.5) for n, word in enumerate(before)]
    found = align_words(words, corrected, 0.0, 10.0)
    assert [w.word for w in found] == corrected.split()
    times = [t for w in found for t in (w.start, w.end) if t is not None]
    assert times == sorted(times)
    assert not times or (times[0] >= 0 and times[-1] <= 10)
