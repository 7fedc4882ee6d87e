"""Answers of OpenAI-compatible servers, of both kinds of completions, and probabilities from their log-probabilities.

Servers write log-probabilities in two forms: `content` with a list per token (chat completions everywhere, and llama.cpp in both),
and parallel lists of tokens (`/completions` of vLLM and OpenAI). Formats: https://platform.openai.com/docs/api-reference.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN = 24
"""Characters of an unreadable answer that a reason quotes: more could be a quotation of the transcript."""


class Unreadable(ValueError):
    """An answer that gives no probability; the message says why, in a few words."""


@dataclass(frozen=True)
class Token:
    """One generated token, and the log-probabilities of those that could have stood in its place, its own among them."""

    text: str
    alternatives: Mapping[str, float]


@dataclass(frozen=True)
class Answer:
    """What a model answered."""

    text: str
    finish: str | None = None
    """Why it ended: `stop`, `length`, `content_filter`."""
    refusal: str | None = None
    tokens: tuple[Token, ...] = ()
    """Empty if the server gives no log-probabilities."""
    tokens_in: int = 0
    tokens_out: int = 0


def parse_answer(content: Any) -> Answer:
    """Parse the JSON of a completion.

    Raises:
        Unreadable: it is no completion.
    """
    try:
        choice = content["choices"][0]
        message = choice.get("message")
        text = message.get("content") if message is not None else choice["text"]
        usage = content.get("usage") or {}
        return Answer(
            text=text or "",
            finish=choice.get("finish_reason"),
            refusal=message.get("refusal") if message is not None else None,
            tokens=_parse_tokens(choice.get("logprobs")),
            tokens_in=int(usage.get("prompt_tokens") or 0),
            tokens_out=int(usage.get("completion_tokens") or 0),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise Unreadable("the server's answer is not a completion") from None


def _parse_tokens(logprobs: Any) -> tuple[Token, ...]:
    if not logprobs:
        return ()
    if logprobs.get("content") is not None:
        return tuple(
            Token(
                t["token"], {t["token"]: t["logprob"]} | {a["token"]: a["logprob"] for a in t.get("top_logprobs") or ()}
            )
            for t in logprobs["content"]
        )
    texts, own, top = (logprobs.get(name) or [] for name in ("tokens", "token_logprobs", "top_logprobs"))
    top = top or [{}] * len(texts)
    return tuple(Token(t, {t: o} | dict(a or {})) for t, o, a in zip(texts, own, top, strict=True) if o is not None)


def require_text(answer: Answer) -> str:
    """Return the text of a complete answer.

    Raises:
        Unreadable: it is refused, empty or truncated.
    """
    if answer.refusal or answer.finish == "content_filter":
        raise Unreadable("the model refused to answer")
    if not answer.text.strip():
        cut = " within its tokens" if answer.finish == "length" else ""
        raise Unreadable(f"the answer is empty{cut}")
    return answer.text


def quote(text: str) -> str:
    """The beginning of an answer, for a reason."""
    plain = " ".join(text.split())
    return repr(plain if len(plain) <= SHOWN else f"{plain[:SHOWN]}…")


def plain_token(text: str) -> str:
    """A token without the space that tokenizers put before words."""
    return text.replace("\u2581", " ").strip()


def binary_probability(answer: Answer, yes: str, no: str, *, fold: Callable[[str], str] = plain_token) -> float:
    """Probability of `yes` against `no` at the first token: p(yes) / (p(yes) + p(no)).

    Args:
        answer: the answer.
        yes: the token that says that the label applies, as `fold` gives it.
        no: the token that says that it does not.
        fold: makes tokens comparable.

    Raises:
        Unreadable: the model generated neither of them, or the server gave no log-probabilities.
    """
    given = fold(require_text(answer))
    if not answer.tokens:
        if given in (yes, no):
            raise Unreadable("the server gives no log-probabilities")
        raise Unreadable(f"the answer is {quote(answer.text)} and neither {yes} nor {no}")
    first = answer.tokens[0]
    if fold(first.text) not in (yes, no):
        raise Unreadable(f"the answer is {quote(answer.text)} and neither {yes} nor {no}")
    return share(first.alternatives, lambda t: fold(t) == yes, lambda t: fold(t) == no)


def share(
    alternatives: Mapping[str, float], applies: Callable[[str], bool], applies_not: Callable[[str], bool]
) -> float:
    """Probability of the tokens that say that a label applies, as a share of those that answer the question at all.

    Raises:
        Unreadable: no token answers it, or a log-probability is not a number.
    """
    yes, no = (_total(alternatives, f) for f in (applies, applies_not))
    if not math.isfinite(yes + no) or yes + no <= 0:
        raise Unreadable("the log-probabilities are of other tokens")
    return yes / (yes + no)


def _total(alternatives: Mapping[str, float], matches: Callable[[str], bool]) -> float:
    return math.fsum(math.exp(p) for t, p in alternatives.items() if matches(t))


def token_after(answer: Answer, words: str) -> Token | None:
    """The token that begins what follows `words` in an answer; None if the words or log-probabilities are missing."""
    before = ""
    for token in answer.tokens:
        if before.rstrip().endswith(words) and plain_token(token.text):
            return token
        before += token.text
    return None


def begins(token: str, names: Sequence[str]) -> bool:
    """Whether a token is one of some words, or the beginning of one."""
    plain = plain_token(token)
    return bool(plain) and any(name.startswith(plain) for name in names)
