# ruff: noqa: RUF001 (letters of many scripts)
"""Transcripts with hallucinations put into them: which rules find which, and what they find that is none.

The transcripts are the references of the sample batch and of the episode in two languages, and sentences in fourteen languages;
what is put in is what users report of recognizers.
"""

import json
import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from podcast_assets import demo
from podcast_assets.quality.scripts import OF_LANGUAGE, SCRIPTS
from podcast_assets.quality.text import text_measures
from podcast_assets.speech.text_language import text_language
from podcast_assets.speech.text_measures import compression_ratio

PHRASES = {
    "en": [
        "Thanks for watching!",
        "Thank you for watching.",
        "Thank you so much for watching!",
        "Please subscribe to my channel.",
        "Don't forget to like and subscribe!",
        "Subtitles by the Amara.org community",
        "Transcription by CastingWords",
    ],
    "de": [
        "Untertitel im Auftrag des ZDF für funk, 2017",
        "Untertitelung des ZDF, 2020",
        "Untertitel der Amara.org-Community",
        "Vielen Dank fürs Zuschauen!",
    ],
    "fr": [
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titrage Société Radio-Canada",
        "Merci d'avoir regardé cette vidéo !",
    ],
    "es": [
        "Subtítulos realizados por la comunidad de Amara.org",
        "¡Gracias por ver el video!",
        "¡Suscríbete al canal!",
    ],
    "it": [
        "Sottotitoli creati dalla comunità Amara.org",
        "Sottotitoli e revisione a cura di QTSS",
    ],
    "pt": [
        "Obrigado por assistir!",
    ],
    "nl": [
        "Ondertiteld door de Amara.org gemeenschap",
    ],
    "pl": [
        "Napisy stworzone przez społeczność Amara.org",
    ],
    "ru": [
        "Субтитры сделал DimaTorzok",
        "Редактор субтитров А.Семкин Корректор А.Егорова",
        "Продолжение следует...",
        "Спасибо за просмотр!",
    ],
    "tr": [
        "İzlediğiniz için teşekkür ederim.",
        "Abone olmayı unutmayın.",
    ],
    "zh": [
        "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
        "字幕由Amara.org社区提供",
        "谢谢观看",
    ],
    "ja": [
        "ご視聴ありがとうございました。",
        "チャンネル登録をお願いいたします",
    ],
    "ko": [
        "MBC 뉴스 이덕영입니다.",
        "시청해주셔서 감사합니다!",
    ],
    "ar": [
        "اشتركوا في القناة",
        "ترجمة نانسي قنقر",
    ],
}
"""By language, as recognizers write them. Not each of these forms is on the list."""
DOUBTFUL = {
    "en": ["Thank you.", "Thanks.", "you", "Bye."],
    "de": ["Danke."],
    "fr": ["Merci."],
    "ru": ["Спасибо."],
    "ja": ["ありがとうございました。"],
    "zh": ["谢谢。"],
    "ko": ["감사합니다."],
}
_REAL_BUT_ODD = [
    "Yes.",
    "Thank you.",
    "Thank you very much.",
    "No, no, no.",
    "No, no, no, no, no, that is not what I said.",
    "Ha ha ha ha.",
    "It was very, very, very cold in there.",
    "One, two, three, four, five, six, seven, eight, nine, ten.",
    "I think, I think, I think we should wait until tomorrow.",
    "Thanks for watching the kids yesterday, I owe you a dinner.",
    "Please subscribe to the paper that your town still has, if it has one.",
    "He bought an iPhone, the San Francisco Chronicle wrote, for 500 dollars.",
    "Row, row, row your boat, gently down the stream.",
    "The rain in Spain, the rain in Spain, everybody knows that line.",
    "www.example.org, that is where you find it.",
]


@dataclass(frozen=True)
class Segment:
    """A segment's text, and what should be found in it."""

    text: str
    language: str
    seconds: float
    expected: frozenset[str] = frozenset()
    true_too: frozenset[str] = frozenset()
    """What may be found as well: it is true, and was not the point."""
    no_speech_prob: float | None = 0.05


def made(count: int, seed: int) -> list[Segment]:
    """Half of them as they are, the rest with something put in; the same for the same seed."""
    rng = random.Random(seed)
    sentences = _sentences()
    kinds: list[tuple[float, Callable[[random.Random, dict[str, list[str]]], Segment]]] = [
        (0.46, _clean),
        (0.04, _odd),
        (0.15, _loop),
        (0.15, _phrase),
        (0.15, _foreign),
        (0.05, _hurried),
    ]
    return [make(rng, sentences) for share, make in kinds for _ in range(round(share * count))]


def flags(segments: list[Segment]) -> list[set[str]]:
    """What the rules say of them. Language and compression are looked at as the stage `transcribe` does."""
    rows = pl.DataFrame(
        {
            "text": [s.text for s in segments],
            "duration": [s.seconds for s in segments],
            "language": [s.language for s in segments],
            "text_language": [text_language(s.text) for s in segments],
            "compression_ratio": [compression_ratio(s.text) for s in segments],
            "no_speech_prob": [s.no_speech_prob for s in segments],
            "episode_id": [str(n) for n in range(len(segments))],
        }
    )
    return [set(found) for found in text_measures(rows)["text_flags"]]


@dataclass(frozen=True)
class Found:
    """How a rule did."""

    rule: str
    put_in: int
    found: int
    right: int
    """Findings of what was put in."""
    true: int
    """Findings that are true, whether they were the point or not."""
    in_clean: int

    @property
    def precision(self) -> float:
        return self.true / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.put_in if self.put_in else 1.0


def results(segments: list[Segment], rules: list[str]) -> list[Found]:
    """Of each rule, on all segments together."""
    said = flags(segments)
    pairs = list(zip(segments, said, strict=True))
    return [
        Found(
            rule,
            sum(rule in s.expected for s in segments),
            sum(rule in f for f in said),
            sum(rule in s.expected and rule in f for s, f in pairs),
            sum(rule in s.expected | s.true_too and rule in f for s, f in pairs),
            sum(not s.expected and rule in f for s, f in pairs),
        )
        for rule in rules
    ]


def _sentences() -> dict[str, list[str]]:
    here = Path(__file__).parent
    found = dict(tomllib.loads((here / "sentences.toml").read_text(encoding="utf-8")))
    references = Path(demo.__file__).parent / "references"
    for file in sorted(references.glob("*.json")):
        found["en"] = found["en"] + [t["text"] for t in json.loads(file.read_text(encoding="utf-8"))["turns"]]
    mixed = here.parent / "fixtures" / "mixed_languages" / "mixed.json"
    for turn in json.loads(mixed.read_text(encoding="utf-8"))["turns"]:
        found[turn["language"]] = [*found[turn["language"]], turn["text"]]
    return found


def _clean(rng: random.Random, sentences: dict[str, list[str]]) -> Segment:
    language = rng.choice(["en", "en", "en", "de", *sentences])
    said = rng.sample(sentences[language], rng.randint(1, 4))
    return _spoken(rng, _joined(said, language), language)


def _odd(rng: random.Random, sentences: dict[str, list[str]]) -> Segment:
    return _spoken(rng, rng.choice(_REAL_BUT_ODD), "en")


def _loop(rng: random.Random, sentences: dict[str, list[str]]) -> Segment:
    before = _clean(rng, sentences)
    unspaced = before.language in ("zh", "ja")
    words = [c for c in before.text if c.isalnum()] if unspaced else before.text.split()
    start = rng.randrange(len(words))
    phrase = words[start : start + rng.randint(1, 8)]
    times = rng.randint(max(4, -(-8 // len(phrase))), 20)
    repeated = phrase * times
    if rng.random() < 0.2:  # it counts, or names others, at each turn
        for turn in range(1, times):
            repeated[turn * len(phrase)] = rng.choice(words)
    kept = words[:start] if rng.random() < 0.5 else []
    text = ("" if unspaced else " ").join([*kept, *repeated])
    return replace(before, text=text, expected=frozenset({"loop"}), seconds=_seconds(rng, text, before.language))


def _phrase(rng: random.Random, sentences: dict[str, list[str]]) -> Segment:
    around = _clean(rng, sentences)
    expected, no_speech = frozenset({"known_phrase"}), rng.uniform(0.0, 0.55)
    if rng.random() < 0.25:  # of those that people say, with a sound that speaks against it
        language, texts, seconds = rng.choice(list(DOUBTFUL)), DOUBTFUL, rng.uniform(5, 25)
    else:
        language, texts, seconds = rng.choice(list(PHRASES)), PHRASES, rng.uniform(2, 25)
    text = " ".join([rng.choice(texts[language])] * rng.choice([1, 1, 1, 2]))
    foreign = frozenset({"wrong_language"}) if language != around.language else frozenset()
    return Segment(text, around.language, seconds, expected, foreign, no_speech)


def _foreign(rng: random.Random, sentences: dict[str, list[str]]) -> Segment:
    segment = _clean(rng, sentences)
    others = [code for code in sentences if code != segment.language]
    foreign = replace(segment, language=rng.choice(others), expected=frozenset({"wrong_language"}))
    if rng.random() < 0.15:  # only a few words of it
        text = segment.text[:6] if segment.language in ("zh", "ja") else " ".join(segment.text.split()[:3])
        return replace(foreign, text=text, seconds=_seconds(rng, text, segment.language))
    return foreign


def _hurried(rng: random.Random, sentences: dict[str, list[str]]) -> Segment:
    segment = _clean(rng, sentences)
    usual = _usual_seconds(segment.text, segment.language)
    return replace(segment, seconds=usual / rng.uniform(2.2, 8), expected=frozenset({"too_fast"}))


def _spoken(rng: random.Random, text: str, language: str) -> Segment:
    return Segment(text, language, _seconds(rng, text, language))


def _seconds(rng: random.Random, text: str, language: str) -> float:
    """A time in which it can be said: from slow speech with pauses to quick speech."""
    return max(0.5, _usual_seconds(text, language) * rng.uniform(0.65, 2.0))


def _usual_seconds(text: str, language: str) -> float:
    return len("".join(text.split())) / SCRIPTS[OF_LANGUAGE.get(language, "latin")].rate


def _joined(said: list[str], language: str) -> str:
    return ("" if language in ("zh", "ja") else " ").join(said)
