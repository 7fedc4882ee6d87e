"""The query language: words, "exact phrases", -exclusions, OR and prefix*, as web search engines have them.

A query is parsed once and becomes one `tsquery` for each text search configuration that the catalog's phrases have.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from podcast_assets.catalog.search.terms import is_single_letter, to_query_tokens
from podcast_assets.common.errors import BadInput

MAX_LENGTH = 1_000
"""Characters of a query."""
_PART = re.compile(r'(?P<minus>(?<!\S)[-−–])?(?:"(?P<quoted>[^"]*)"?|(?P<word>[^\s"]+))')  # noqa: RUF001
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"'))


@dataclass(frozen=True, slots=True)
class Term:
    """Search terms that must follow each other."""

    tokens: tuple[str, ...]
    excluded: bool = False
    prefix: bool = False
    """Whether the last token may be the beginning of a word."""


@dataclass(frozen=True, slots=True)
class Query:
    """Alternatives, each of terms that must all occur, or not occur."""

    alternatives: tuple[tuple[Term, ...], ...]

    @property
    def tokens(self) -> list[str]:
        """The tokens that are looked for, without exclusions."""
        return [token for term in self._included() for token in term.tokens]

    @property
    def prefixes(self) -> list[str]:
        """The tokens that may be the beginning of a word."""
        return [term.tokens[-1] for term in self._included() if term.prefix]

    def _included(self) -> list[Term]:
        return [term for terms in self.alternatives for term in terms if not term.excluded]


def parse_query(text: str) -> Query:
    """Parse a query.

    `a b` finds both words, in any order; `"a b"` one after the other; `a OR b` one of them, where `a b OR c` means `(a b) OR c`;
    `-a` excludes; `a*` finds words that begin so. Anything else, brackets for example, separates words.

    Raises:
        BadInput: there is nothing to look for, or an alternative only excludes, or the query is too long.
    """
    if len(text) > MAX_LENGTH:
        raise BadInput(f"the query has {len(text):,} characters; the limit is {MAX_LENGTH:,}")
    alternatives: list[list[Term]] = [[]]
    for match in _PART.finditer(text.translate(_QUOTES)):
        quoted, word = match["quoted"], match["word"]
        if word == "OR" and not match["minus"]:
            if alternatives[-1]:
                alternatives.append([])
            continue
        tokens = to_query_tokens(quoted if quoted is not None else word)
        if not tokens:
            continue
        prefix = bool(word and word.endswith("*") and len(word.rstrip("*")) > 0) or is_single_letter(tokens[-1])
        alternatives[-1].append(Term(tuple(tokens), match["minus"] is not None, prefix))
    found = [tuple(terms) for terms in alternatives if terms]
    if not found:
        raise BadInput("the query has no word to look for")
    if any(all(term.excluded for term in terms) for terms in found):
        raise BadInput("the query only excludes words: add one to look for")
    return Query(tuple(found))


def without_operators(text: str) -> str:
    """Return the words of a query as a text, for a search by meaning: exclusions and operators are dropped."""
    kept = []
    for match in _PART.finditer(text.translate(_QUOTES)):
        content = match["quoted"] if match["quoted"] is not None else match["word"]
        if not match["minus"] and content != "OR":
            kept.append(content.rstrip("*") if match["quoted"] is None else content)
    return " ".join(kept)


def tsquery_sql(query: Query, configuration: str) -> tuple[str, dict[str, str]]:
    """Return an SQL expression of type `tsquery` and its parameters.

    The expression is of no words (`querytree` gives an empty text) where all are stop words of the configuration.

    Args:
        query: the query.
        configuration: text search configuration, as `english`.
    """
    parameters = {"configuration": configuration}
    alternatives = []
    for terms in query.alternatives:
        parts = [_term_sql(term, parameters) for term in terms]
        alternatives.append(f"({' && '.join(parts)})")
    return " || ".join(alternatives), parameters


def _term_sql(term: Term, parameters: dict[str, str]) -> str:
    *first, last = term.tokens
    parts = []
    if not term.prefix:
        parts.append(_phrase_sql(term.tokens, parameters))
    else:
        if first:
            parts.append(_phrase_sql(first, parameters))
        name = f"t{len(parameters)}"
        parameters[name] = f"'{last}':*"  # tokens are letters, marks and digits
        prefix = f"CAST(:{name} AS tsquery)"
        # what is searched is stemmed: a prefix as long as the word is compared with the stem
        parts.append(f"({prefix} || {_phrase_sql((last,), parameters)})" if not is_single_letter(last) else prefix)
    joined = parts[0] if len(parts) == 1 else f"({' <-> '.join(parts)})"
    return f"!!{joined}" if term.excluded else joined


def _phrase_sql(tokens: Sequence[str], parameters: dict[str, str]) -> str:
    name = f"t{len(parameters)}"
    parameters[name] = " ".join(tokens)
    return f"phraseto_tsquery(CAST(:configuration AS regconfig), :{name})"
