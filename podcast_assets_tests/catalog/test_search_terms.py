"""What of a text is searched, and what people may type."""

import pytest

from podcast_assets.catalog.search.languages import configuration
from podcast_assets.catalog.search.query import Term, parse_query, without_operators
from podcast_assets.catalog.search.terms import to_query_tokens, to_search_text
from podcast_assets.common.errors import BadInput


@pytest.mark.parametrize(
    ("spoken", "typed"),
    [
        ("café, naïve", "cafe naive"),
        ("Straße", "strasse"),
        ("L’été", "l'ete"),  # noqa: RUF001
        ("don't", "don’t"),  # noqa: RUF001
        ("İstanbul", "istanbul"),
        ("1,000 people", "1000 people"),
        ("well-known", "well known"),
        ("Ελλάδα", "ΕΛΛΑΔΑ"),
        ("العَرَبِيَّة", "العربية"),
        ("ﬁne", "fine"),
    ],
)
def test_spellings_of_one_word_are_one_term(spoken: str, typed: str) -> None:
    assert to_search_text(spoken) == " ".join(to_query_tokens(typed))


@pytest.mark.parametrize("text", ["мой", "हिन्दी", "ёлка", "தமிழ்"])
def test_marks_that_make_another_letter_stay(text: str) -> None:
    assert to_search_text(text) == text


def test_unspaced_scripts_are_pairs_of_letters_and_a_single_letter_is_found_anywhere() -> None:
    spoken = to_search_text("我在東京都 and Tokyo").split()
    assert set(to_query_tokens("東京")) < set(spoken)
    assert set(to_query_tokens("京東")).isdisjoint(spoken)
    assert any(token.startswith(to_query_tokens("京")[0]) for token in spoken)
    assert to_query_tokens("都")[0] in spoken, "the last letter begins no pair"
    assert spoken[-2:] == ["and", "tokyo"]


def test_operators_of_web_search() -> None:
    query = parse_query('bread "price of" -sugar OR cake* -"no thanks"')
    assert query.alternatives == (
        (Term(("bread",)), Term(("price", "of")), Term(("sugar",), excluded=True)),
        (Term(("cake",), prefix=True), Term(("no", "thanks"), excluded=True)),
    )
    assert without_operators('bread "price of" -sugar OR cake*') == "bread price of cake"


def test_what_looks_like_an_operator_and_is_a_word() -> None:
    assert parse_query("to be or not").alternatives == (tuple(Term((w,)) for w in "to be or not".split()),)
    assert parse_query("well-known").alternatives == ((Term(("well", "known")),),)
    assert parse_query('“unfinished "').alternatives == ((Term(("unfinished",)),),)
    assert parse_query("OR (bread) & | ! :* OR").alternatives == ((Term(("bread",)),),)


@pytest.mark.parametrize("text", ["", "  ", '""', "!?", "OR", "-bread", "cake OR -bread", "a" * 2_000])
def test_a_query_without_anything_to_find_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_query(text)


def test_languages_without_a_stemmer_are_searched_as_they_are() -> None:
    assert configuration("pt-BR", {"portuguese", "simple"}) == "portuguese"
    assert configuration("ja", {"english", "simple"}) == "simple"
    assert configuration("hy", {"english", "simple"}) == "simple", "older servers have no Armenian"
    assert configuration(None, {"english", "simple"}) == "simple"
