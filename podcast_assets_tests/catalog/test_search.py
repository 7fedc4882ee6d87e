"""Searches of a catalog on a real PostgreSQL."""

import datetime

import pytest
import sqlalchemy
from sqlalchemy import insert, text

from podcast_assets.catalog.embeddings.step import embed_missing
from podcast_assets.catalog.search.filters import Filters, parse_flag, parse_score
from podcast_assets.catalog.search.find import Searcher
from podcast_assets.catalog.search.results import SearchResults
from podcast_assets.catalog.tables import CONTENT_FLAGS, SCORES
from podcast_assets.common.errors import BadInput, Misconfigured
from podcast_assets.engines.engine import make_engine
from podcast_assets_tests.catalog.spoken import speak

BREAD = [
    ("A", 0.0, "Welcome to the show about baking."),
    ("B", 10.0, "The price of bread went up again, and bakers are worried."),
    ("A", 20.0, "My grandmother's sourdough was a wonder."),
    ("B", 30.0, "Rockets fly to the moon next year."),
]


def find(database: sqlalchemy.Engine, query: str, **filters: object) -> list[str]:
    return texts(Searcher(database).search(query, mode="words", filters=Filters(**filters)))  # pyright: ignore[reportArgumentType]


def texts(found: SearchResults) -> list[str]:
    return [hit.text for hit in found]


def test_words_phrases_exclusions_and_prefixes(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD)
    price, grandmother = BREAD[1][2], BREAD[2][2]
    assert find(search_database, "worries baker") == [price], "by stems, in any order"
    assert find(search_database, '"price of bread"') == [price]
    assert find(search_database, '"bread price"') == []
    assert find(search_database, "bread -rockets")[0] == price
    assert find(search_database, "bread -bakers") == []
    assert set(find(search_database, "sourdough OR rocket")) == {grandmother, BREAD[3][2]}
    assert find(search_database, "sourd*") == [grandmother]
    assert find(search_database, "the*") == [], "a prefix of words that are left out"
    assert find(search_database, "grandmother’s") == [grandmother]  # noqa: RUF001
    with pytest.raises(BadInput):
        find(search_database, "-bread")


def test_words_on_both_sides_of_a_boundary_are_found_together(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD)
    found = Searcher(search_database).search("worried grandmother", mode="words")
    assert texts(found) == [BREAD[1][2]]
    assert found[0].after == BREAD[2][2]
    assert texts(Searcher(search_database).search("grandmother", mode="words")) == [BREAD[2][2]], (
        "not the phrase before it"
    )


def test_what_a_hit_tells(search_database: sqlalchemy.Engine) -> None:
    url = "https://user:secret@pods.example/1.mp3?token=abc"
    speak(search_database, "e1", BREAD, url=url, published="2024-05-01T10:00:00+00:00")
    (hit,) = Searcher(search_database).search("sourdough", mode="words")
    assert (hit.batch, hit.episode_id, hit.podcast, hit.title, hit.published) == (
        "b1",
        "e1",
        "Bread and Butter",
        "Episode e1",
        "2024-05-01",
    )
    assert (hit.start, hit.speaker, hit.language, hit.segment_ids) == (20.0, "A", "en", ("e1-2",))
    assert (hit.before, hit.after) == (BREAD[1][2], BREAD[3][2])
    assert hit.link == "https://pods.example/1.mp3#t=20"
    frame = Searcher(search_database).search("sourdough", mode="words").to_polars()
    assert frame.select("start", "text").row(0) == (20.0, BREAD[2][2])
    assert Searcher(search_database).search("nobodysaidthis", mode="words").to_polars().columns == frame.columns


def test_filters(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD, published="2024-05-01")
    speak(
        search_database,
        "e2",
        [("A", 0.0, "More about bread.")],
        batch="b2",
        podcast="Other",
        published="2025-01-01",
    )
    speak(search_database, "e3", [("A", 0.0, "Das Brot und bread.")], batch="b3", language="de", podcast="Drittes")
    one, two, three = BREAD[1][2], "More about bread.", "Das Brot und bread."
    assert set(find(search_database, "bread")) == {one, two, three}
    assert find(search_database, "bread", podcasts=["bread AND butter"]) == [one]
    assert find(search_database, "bread", batches=["b2"]) == [two]
    assert find(search_database, "bread", languages=["de"]) == [three]
    assert set(find(search_database, "bread", speakers=["A"])) == {two, three}
    assert find(search_database, "bread", after=datetime.date(2024, 5, 2)) == [two]
    assert find(search_database, "bread", before=datetime.date(2024, 5, 1)) == [one]
    with search_database.begin() as connection:
        for batch, segment, score in (("b1", "e1-1", 3.2), ("b2", "e2-0", 2.0)):
            connection.execute(
                insert(SCORES).values(batch=batch, segment_id=segment, dnsmos_ovrl=score, keep=True, reject_reasons=[])
            )
        flag = {
            "policy": "hate",
            "label": "slurs",
            "probability": 0.9,
            "verdict": "flagged",
            "segment_ids": ["e1-0", "e1-1"],
        }
        connection.execute(insert(CONTENT_FLAGS).values(batch="b1", episode_id="e1", window=0, start=0, end=9, **flag))
    assert find(search_database, "bread", scores=[parse_score("dnsmos_ovrl >= 3")]) == [one]
    assert find(search_database, "bread", flags=[parse_flag("hate.slurs>0.5")]) == [one]
    assert find(search_database, "bread", flags=[parse_flag("hate.slurs<0.5")]) == []
    for wrong in ("dnsmos_ovrl", "nosuch>1", "dnsmos_ovrl>1; drop table x", "dnsmos_ovrl>1.2.3"):
        with pytest.raises(BadInput):
            parse_score(wrong)


@pytest.mark.parametrize(
    ("language", "said", "query"),
    [
        ("ja", "今日は東京で雨が降りました。", "東京"),
        ("ja", "今日は東京で雨が降りました。", "雨"),
        ("zh", "我们昨天去了上海。", "上海"),
        ("th", "วันนี้อากาศดีมาก", "อากาศ"),
        ("de", "Die Bäckereien öffnen früh.", "backerei"),
        ("fr", "L'été dernier, nous étions à la mer.", "ete"),
        ("ru", "Мы пекли чёрный хлеб.", "хлеба"),
        ("hi", "आज रोटी बनाई गई।", "रोटी"),
        ("sw", "Habari ya asubuhi.", "habari"),
        (None, "Something nobody knows the language of.", "nobody"),
    ],
)
def test_every_language(search_database: sqlalchemy.Engine, language: str | None, said: str, query: str) -> None:
    speak(search_database, "e0", [("A", 0.0, "English beside it.")], batch="b0")
    speak(search_database, "e1", [("A", 0.0, said)], language=language)
    assert find(search_database, query) == [said]


def test_the_same_speech_in_two_batches_is_one_hit(search_database: sqlalchemy.Engine) -> None:
    engine = make_engine("embedder", "wordllama")
    for batch in ("b2", "b1", "b3"):
        speak(search_database, "e1" if batch != "b3" else "renamed", BREAD, batch=batch, sha256="same")
    embed_missing(search_database, engine)
    for mode in ("words", "meaning", "both"):
        found = Searcher(search_database, engine).search("price of bread", mode=mode, limit=4)
        assert [(h.batch, h.text) for h in found][:1] == [("b1", BREAD[1][2])]
        assert len(set(texts(found))) == len(found)


def test_by_meaning_and_both(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD)
    engine = make_engine("embedder", "wordllama")
    searcher = Searcher(search_database, engine)
    with pytest.raises(Misconfigured, match="catalog embed"):
        searcher.search("spaceships", mode="meaning")
    found = searcher.search("bread", mode="both")
    assert texts(found) == [BREAD[1][2]]
    assert "catalog embed" in found.notes[0]
    assert embed_missing(search_database, engine).added == 4
    found = searcher.search("spacecraft going to space", mode="meaning", limit=1)
    assert texts(found) == [BREAD[3][2]]
    assert found[0].similarity is not None
    best = searcher.search("sourdough bread", mode="both")[0]
    assert best.meaning_rank is not None
    assert texts(searcher.search("space", mode="meaning", filters=Filters(speakers=["A"]), limit=1))[0] in (
        BREAD[0][2],
        BREAD[2][2],
    )


def test_vectors_follow_the_phrases(search_database: sqlalchemy.Engine) -> None:
    engine = make_engine("embedder", "wordllama")
    speak(search_database, "e1", BREAD)
    assert embed_missing(search_database, engine).added == 4
    assert embed_missing(search_database, engine).added == 0, "again: nothing is missing"
    assert speak(search_database, "e1", BREAD) == 0, "the same phrases keep their keys"
    changed = [*BREAD[:3], ("B", 30.0, "Rockets fly to Mars.")]
    assert speak(search_database, "e1", changed) == 2, "the last one, and the one that has it as context"
    assert embed_missing(search_database, engine).added == 2
    assert find(search_database, "moon") == []
    assert speak(search_database, "e1", []) == 0
    with search_database.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM podcast_catalog.embeddings")) == 0


def test_an_interrupted_embedding_is_resumed(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD)
    engine = make_engine("embedder", "wordllama")
    worker = engine.load()
    asked: list[str] = []

    class Interrupted:
        """A double that ends in its second portion, as a killed process does."""

        dimensions = worker.dimensions

        def embed(self, given: list[str]) -> object:
            asked.extend(given)
            if len(asked) > 2:
                raise KeyboardInterrupt
            return worker.embed(given)

    with pytest.raises(KeyboardInterrupt):
        embed_missing(search_database, engine, load=Interrupted, at_once=2)  # pyright: ignore[reportArgumentType]
    assert embed_missing(search_database, engine).added == 2
    found = Searcher(search_database, engine).search("space", mode="meaning", limit=4)
    assert len(found) == 4


def test_a_server_without_pgvector_is_searched_by_words(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD)
    with search_database.begin() as connection:
        connection.execute(text("DROP TABLE podcast_catalog.embeddings"))
    engine = make_engine("embedder", "wordllama")
    found = Searcher(search_database, engine).search("sourdough")
    assert texts(found) == [BREAD[2][2]]
    assert "pgvector" in found.notes[0]
    with pytest.raises(Misconfigured, match="pgvector"):
        embed_missing(search_database, engine)


def test_another_model_replaces_the_vectors_when_it_is_complete(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", BREAD)
    embed_missing(search_database, make_engine("embedder", "wordllama"))
    minilm = make_engine("embedder", "minilm", device="cpu")
    done = embed_missing(search_database, minilm)
    assert (done.added, done.removed) == (4, 4)
    found = Searcher(search_database, minilm).search("a spacecraft travels through space", mode="meaning", limit=1)
    assert texts(found) == [BREAD[3][2]]


def test_what_was_taken_down_never_appears(search_database: sqlalchemy.Engine) -> None:
    engine = make_engine("embedder", "wordllama")
    speak(search_database, "e1", BREAD)
    embed_missing(search_database, engine)
    with search_database.begin() as connection:  # phrases are still there, as in the moment between two transactions
        connection.execute(text("DELETE FROM podcast_catalog.episodes"))
    for mode in ("words", "meaning", "both"):
        assert texts(Searcher(search_database, engine).search("bread", mode=mode)) == []


def test_control_characters_and_nul_in_texts(search_database: sqlalchemy.Engine) -> None:
    speak(search_database, "e1", [("A", 0.0, 'evil\x00 "quoted", \\N \x1b[2J text')])
    assert find(search_database, "evil") == ['evil "quoted", \\N \x1b[2J text']
