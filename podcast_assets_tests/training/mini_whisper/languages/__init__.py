"""Languages of each model: vocabulary, sentences and voices. To add a language, add a TOML file.

python -m podcast_assets_tests.training.mini_whisper.languages two     # print the words and a few sentences
"""

import random
import re
import tomllib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from podcast_assets_tests.training.mini_whisper import corpus

Words = list[str]

RANDOM_SHARE = 0.28
"""Of sentences that are words at random, so that a model must listen to each."""
HELD_OUT_ONE_IN = 8
SLOT = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Language:
    """A closed vocabulary, sentences made of it, and the voices that speak it."""

    code: str
    """The name of Whisper's language token: "en"."""
    vocabulary: Words
    natural_sentence: Callable[[random.Random], Words]
    """A random sentence with grammar."""
    espeak_voices: tuple[str, ...]
    flite_voices: tuple[str, ...] = ()

    def sentence(self, r: random.Random) -> Words:
        """Return a training sentence: mostly grammatical, otherwise one to eight random words."""
        if r.random() < RANDOM_SHARE:
            return r.sample(self.vocabulary, r.randint(1, 8))
        return self.natural_sentence(r)


def is_held_out(words: Words) -> bool:
    """Return whether a sentence of exactly these words is held out from training, as is one in HELD_OUT_ONE_IN."""
    return zlib.crc32(" ".join(words).encode()) % HELD_OUT_ONE_IN == 0


def read_language(path: Path) -> Language:
    """Read a language of template sentences: `code`, `espeak_voices`, `templates`, and `slots` with the words for each."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    templates: list[str] = content["templates"]
    slots: dict[str, Words] = {name: words.split() for name, words in content["slots"].items()}

    def natural_sentence(r: random.Random) -> Words:
        return SLOT.sub(lambda slot: r.choice(slots[slot[1]]), r.choice(templates)).split()

    fixed = (word for template in templates for word in SLOT.sub("", template).split())
    vocabulary = sorted({*fixed, *(word for words in slots.values() for word in words)})
    return Language(content["code"], vocabulary, natural_sentence, tuple(content["espeak_voices"]))


_HERE = Path(__file__).parent
_DEMO_ENGLISH = Language(
    "en",
    corpus.VOCABULARY,
    corpus.natural_sentence,
    espeak_voices=("en-us", "en-us", "en-gb-x-rp"),
    flite_voices=("slt", "slt", "rms", "awb", "kal16"),
)
MODELS: dict[str, tuple[Language, ...]] = {
    "demo": (_DEMO_ENGLISH,),
    "two": tuple(read_language(_HERE / f"{code}.toml") for code in ("en", "de")),
}
"""The languages of each model that the repository has, by the name that the scripts take as --model."""
