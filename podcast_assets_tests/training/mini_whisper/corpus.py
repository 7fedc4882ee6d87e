"""The miniature's English: 103 words, no two of them homophones, and random sentences made of them."""

import random

Words = list[str]


def _words(*lines: str) -> Words:
    return " ".join(lines).split()


PRONOUNS = _words("i you we they")
NOUNS = _words(
    "podcast episode show music science story book people world time week guest question answer idea water city light",
    "sound data model machine language voice team game food money history future health morning night",
)
VERBS = _words("think know like want make find talk learn start tell read build play listen")
TRANSITIVE = _words("like want make find learn start read build play know tell")
ADJECTIVES = _words("good great big small old long simple new first next")
DETERMINERS = _words("the this that my your")
OTHERS = _words(
    "it a and is are was in on of to with about not so do have can will from at very really more today here now yes",
    "hello again together welcome thank what why how when who",
)
VOCABULARY = sorted({*PRONOUNS, *NOUNS, *VERBS, *ADJECTIVES, *DETERMINERS, *OTHERS})


def maybe(r: random.Random, probability: float, *words: str) -> Words:
    return list(words) if r.random() < probability else []


def noun_phrase(r: random.Random) -> Words:
    noun = r.choice(NOUNS)
    adjective = [r.choice(ADJECTIVES)] if r.random() < 0.35 else []
    first = (adjective or [noun])[0]
    an = first[0] in "aeiou"  # "an" is not in the vocabulary
    determiner = r.choice([*DETERMINERS, "the", "the"]) if r.random() < 0.75 or an else "a"
    return [determiner, *adjective, noun]


def verb_phrase(r: random.Random) -> Words:
    k = r.random()
    if k < 0.45:
        return [r.choice(TRANSITIVE), *noun_phrase(r)]
    if k < 0.6:
        return ["want", "to", r.choice(TRANSITIVE), *noun_phrase(r)]
    if k < 0.8:
        return ["talk", "about", *noun_phrase(r), *(["and", *noun_phrase(r)] if r.random() < 0.3 else [])]
    if k < 0.9:
        return ["listen", "to", *noun_phrase(r)]
    return ["know", r.choice(["how", "why", "when", "who"]), "to", r.choice(VERBS)]


def clause(r: random.Random) -> Words:
    k = r.random()
    if k < 0.35:
        modal: Words = r.choice([["can"], ["will"], ["do", "not"], ["will", "not"], []])
        return [r.choice(PRONOUNS), *maybe(r, 0.1, "really"), *modal, *verb_phrase(r)]
    if k < 0.55:
        subject, verb = noun_phrase(r), r.choice(["is", "was"])
        return [*subject, verb, *maybe(r, 0.2, "not"), *maybe(r, 0.3, "very"), r.choice(ADJECTIVES)]
    if k < 0.65:
        preposition = r.choice(["about", "from", "in", "on", "with", "at"])
        return [*noun_phrase(r), "is", preposition, *noun_phrase(r)]
    if k < 0.75:
        return ["it", "is", *noun_phrase(r)]
    if k < 0.85:
        return [
            r.choice(["people", "we", "they", "you"]),
            "are",
            r.choice(["here", "good", "in", "with"]),
            *noun_phrase(r),
        ]
    adverb = r.choice(["today", "now", "again", "together", "in"])
    return [r.choice(PRONOUNS), "have", *maybe(r, 0.3, "more"), r.choice(NOUNS), adverb]


def natural_sentence(r: random.Random) -> Words:
    """Return a grammatical sentence."""
    k = r.random()
    if k < 0.07:
        return r.choice(
            [
                ["hello", "and", "welcome", "to", *noun_phrase(r)],
                ["thank", "you"],
                ["welcome", "again"],
                ["yes"],
                ["hello"],
                ["thank", "you", "very"],
                ["good", "morning"],
            ]
        )
    if k < 0.21:
        return ["today", r.choice(PRONOUNS), *verb_phrase(r)]
    if k < 0.37:
        return [
            r.choice(["what", "how", "why", "when"]),
            r.choice(["do", "can", "will"]),
            r.choice(PRONOUNS),
            *verb_phrase(r),
        ]
    if k < 0.44:
        return [r.choice(["what", "who"]), r.choice(["is", "was"]), *noun_phrase(r)]
    if k < 0.55:
        return ["i", r.choice(["think", "know"]), "that", *clause(r)]
    if k < 0.66:
        return [r.choice(["so", "and", "now", "yes"]), *clause(r)]
    return clause(r)
