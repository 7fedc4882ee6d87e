# ruff: noqa: RUF001 (letters of many scripts)
"""Transcripts with hallucinations put into them: which rules find them, and what else the rules flag wrongly.

The transcripts are the references of the sample batch and of the episode in two languages, with their own times, and sentences in
fourteen languages, whose times come from how fast people read aloud; what is put in is what users report of recognizers. No time
and no limit here is taken from the rules.
"""

import json
import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from podcast_assets.quality.text.measures import text_measures
from podcast_assets.quality.text.rules import TEXT_FLAGS
from podcast_assets.speech.languages.text import TextLanguageIdentifier
from podcast_assets.speech.text_measures import compression_ratio
from podcast_assets.speech.transcribers.window_results import words_lie_outside
from podcast_assets.speech.types import WORDS_OUTSIDE, Turn, Word
from podcast_assets_tests import miniature

CHARACTERS_PER_MINUTE = {
    "ar": 612,
    "de": 920,
    "en": 987,
    "es": 1025,
    "fr": 998,
    "hi": 882,
    "it": 950,
    "ja": 357,
    "ko": 370,
    "nl": 978,
    "pl": 916,
    "ru": 986,
    "tr": 1054,
    "zh": 255,
}
"""Of reading aloud: Trauzettel-Klosinski and Dietz 2012, Investigative Ophthalmology and Visual Science 53:9, in 17 languages.
Hindi and Korean are not among them: the mean of the alphabets (68 ms for a character), and that of all languages' syllables."""

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
        "Спасибо за просмотр!",
    ],
    "tr": [
        "İzlediğiniz için teşekkür ederim.",
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
    "en": ["Thank you.", "Thanks.", "you", "Bye.", "The end.", "We'll be right back."],
    "de": ["Danke.", "Bis zum nächsten Mal!"],
    "fr": ["Merci."],
    "ru": ["Спасибо.", "Продолжение следует..."],
    "tr": ["Abone olmayı unutmayın."],
    "ja": ["ありがとうございました。"],
    "zh": ["谢谢。", "我们下期再见。"],
    "ko": ["감사합니다."],
}
_REAL_BUT_ODD = {
    "en": [
        "Yes.",
        "Thank you.",
        "Thank you very much.",
        "No, no, no.",
        "No, no, no, no, no, that is not what I said.",
        "No no no no no no no.",
        "Yeah, yeah, yeah, yeah, yeah, yeah, yeah.",
        "La la la la la la la la.",
        "Ha ha ha ha.",
        "Ha ha ha ha ha ha ha.",
        "Bye bye bye bye.",
        "It was very, very, very cold in there.",
        "One, two, three, four, five, six, seven, eight, nine, ten.",
        "2024, 1984, 2001, 1999, 500 000 000.",
        "I think, I think, I think we should wait until tomorrow.",
        "Thanks for watching the kids yesterday, I owe you a dinner.",
        "Please subscribe to the paper that your town still has, if it has one.",
        "He bought an iPhone, the San Francisco Chronicle wrote, for 500 dollars.",
        "Row, row, row your boat, gently down the stream.",
        "The rain in Spain, the rain in Spain, everybody knows that line.",
        "www.example.org, that is where you find it.",
        "We'll be right back.",
        "The end.",
        "Don't forget to subscribe.",
    ],
    "de": ["Bis zum nächsten Mal!", "Ja ja ja ja ja ja ja.", "Das war's für heute.", "Genau."],
    "fr": ["Abonnez-vous !", "Oui, oui, oui, oui, oui, oui, oui."],
    "it": ["Alla prossima puntata!"],
    "zh": ["对对对对对对对", "哈哈哈哈哈哈哈", "好的好的好的好的", "对。", "我们下期再见。"],
    "ja": ["はいはいはいはい", "そうそうそうそう。", "うんうんうんうん", "なるほどなるほどなるほど。", "はい。"],
    "ko": ["네 네 네 네 네 네 네", "네."],
    "ru": ["Да да да да да да да.", "До новых встреч!"],
}
_MIXED = {
    "zh": ["我们用GitHub Copilot", "这个是 Visual Studio Code 的插件", "GitHub Copilot", "你看过 Game of Thrones 吗"],
    "ja": ["今日はGoogle Analyticsの話", "iPhone Pro Maxを買いました", "それは machine learning の問題です"],
    "ko": ["저는 Visual Studio Code 써요", "오늘은 Harry Potter 이야기", "그건 machine learning 문제예요"],
    "ru": ["Это iPhone Pro Max", "Мы используем GitHub Copilot", "Смотрели Game of Thrones вчера"],
    "hi": ["मैं GitHub पर code push करता हूँ", "यह machine learning का problem है"],
    "ar": ["نحن نستخدم GitHub Copilot كل يوم", "هذا iPhone Pro Max"],
    "de": ["Ich nutze Visual Studio Code und GitHub Copilot.", "Das war ein super Meeting mit dem Product Owner."],
}
"""Names and words of another language, as they are spoken in this one."""
_WITHOUT_WORDS = ["", "…", " . ", "♪♪", "- -"]


@dataclass(frozen=True)
class Segment:
    """A segment's text, and what should be found in it."""

    text: str
    language: str
    seconds: float
    expected: frozenset[str] = frozenset()
    also_correct: frozenset[str] = frozenset()
    """Other findings that would be correct."""
    no_speech_prob: float | None = 0.05
    avg_logprob: float | None = -0.3
    behind: float = 0.0
    """Share of its words that the recognizer placed behind it."""


Sentences = dict[str, list[tuple[str, float, bool]]]
"""By language, with the seconds that they take, and whether these are of a recording."""


def make_segments(count: int, seed: int) -> list[Segment]:
    """Half of them as they are, the rest with something put in; the same for the same seed."""
    rng = random.Random(seed)
    sentences = _sentences()
    kinds: list[tuple[float, Callable[[random.Random, Sentences], Segment]]] = [
        (0.41, _clean),
        (0.05, _odd),
        (0.04, _mixed),
        (0.12, _loop),
        (0.12, _phrase),
        (0.12, _foreign),
        (0.04, _hurried),
        (0.04, _unheard),
        (0.02, _slow),
        (0.02, _behind),
        (0.02, _empty),
    ]
    return [make(rng, sentences) for share, make in kinds for _ in range(round(share * count))]


def flags(segments: list[Segment]) -> list[set[str]]:
    """What the rules say of them. Language, compression and places of words are looked at as the stage `transcribe` does."""
    rows = pl.DataFrame(
        {
            "text": [s.text for s in segments],
            "duration": [s.seconds for s in segments],
            "language": [s.language for s in segments],
            "text_language": [TextLanguageIdentifier().language(s.text) for s in segments],
            "compression_ratio": [compression_ratio(s.text) for s in segments],
            "no_speech_prob": [s.no_speech_prob for s in segments],
            "avg_logprob": [s.avg_logprob for s in segments],
            "flags": [
                [WORDS_OUTSIDE] if words_lie_outside(Turn(0.0, s.seconds, None), _words(s)) else [] for s in segments
            ],
            "episode_id": [str(n) for n in range(len(segments))],
        }
    )
    return [set(found) for found in text_measures(rows)["text_flags"]]


def _words(segment: Segment) -> list[Word]:
    """Its words one after the other, a few hundredths of a second off; those behind it later than they can be."""
    texts = segment.text.split()
    inside = len(texts) - round(segment.behind * len(texts))
    step = segment.seconds / max(inside, 1)
    return [
        Word(t, step * n - 0.04, step * (n + 1) + 0.04, None)
        if n < inside
        else Word(t, segment.seconds + 0.3 * (n - inside + 1), segment.seconds + 0.3 * (n - inside + 2), None)
        for n, t in enumerate(texts)
    ]


@dataclass(frozen=True)
class Found:
    """Counts of a rule's findings."""

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


def results(segments: list[Segment]) -> list[Found]:
    """Of each rule, on all segments together."""
    said = flags(segments)
    pairs = list(zip(segments, said, strict=True))
    return [
        Found(
            rule,
            sum(rule in s.expected for s in segments),
            sum(rule in f for f in said),
            sum(rule in s.expected and rule in f for s, f in pairs),
            sum(rule in s.expected | s.also_correct and rule in f for s, f in pairs),
            sum(not s.expected and rule in f for s, f in pairs),
        )
        for rule in TEXT_FLAGS
    ]


def _sentences() -> Sentences:
    here = Path(__file__).parent
    written = tomllib.loads((here / "sentences.toml").read_text(encoding="utf-8"))
    found = {language: [(t, read_aloud(t, language), False) for t in texts] for language, texts in written.items()}
    references = [(file, "en") for file in sorted(miniature.REFERENCES.glob("*.json"))]
    for file, language in [*references, (here.parent / "fixtures" / "mixed_languages" / "mixed.json", None)]:
        for turn in json.loads(file.read_text(encoding="utf-8"))["turns"]:
            found[language or turn["language"]].append((turn["text"], turn["end"] - turn["start"], True))
    return found


def _clean(rng: random.Random, sentences: Sentences) -> Segment:
    """Real speech, of which recognizers are more or less sure: one sign of no speech is none."""
    language = rng.choice(["en", "en", "en", "de", *sentences])
    said = rng.sample(sentences[language], rng.randint(1, 4))
    text = ("" if language in ("zh", "ja") else " ").join(t for t, _, _ in said)
    pace = rng.uniform(0.75, 1.6)  # of quick speakers, and with pauses
    seconds = sum(s if measured else s * pace for _, s, measured in said)
    return _heard(rng, Segment(text, language, seconds))


def _heard(rng: random.Random, segment: Segment) -> Segment:
    sure, silent = rng.uniform(-0.9, -0.05), rng.uniform(0.0, 0.3)
    kind = rng.random()
    if kind < 0.1:
        silent = rng.uniform(0.6, 0.95)
    elif kind < 0.2:
        sure = rng.uniform(-1.5, -1.0)
    return replace(segment, no_speech_prob=silent, avg_logprob=sure)


def _odd(rng: random.Random, sentences: Sentences) -> Segment:
    language, text = rng.choice([(code, t) for code, texts in _REAL_BUT_ODD.items() for t in texts])
    usual = read_aloud(text, language)
    seconds = usual * rng.uniform(0.75, 1.6) if usual > 0.5 else rng.uniform(0.1, 0.8)
    return Segment(text, language, seconds, avg_logprob=rng.uniform(-0.9, -0.05))


def _mixed(rng: random.Random, sentences: Sentences) -> Segment:
    language, text = rng.choice([(code, t) for code, texts in _MIXED.items() for t in texts])
    latin = "".join(c for c in text if c.isascii())
    rest = "".join(c for c in text if not c.isascii())
    seconds = read_aloud(latin, "en") + (read_aloud(rest, language) if rest else 0.0)
    return _heard(rng, Segment(text, language, seconds * rng.uniform(0.75, 1.6)))


def _loop(rng: random.Random, sentences: Sentences) -> Segment:
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
    return replace(
        before,
        text=text,
        expected=frozenset({"loop"}),
        seconds=read_aloud(text, before.language) * rng.uniform(0.75, 1.6),
    )


def _phrase(rng: random.Random, sentences: Sentences) -> Segment:
    around = _clean(rng, sentences)
    no_speech, sure = rng.uniform(0.0, 0.55), rng.uniform(-0.9, -0.1)
    if rng.random() < 0.25:  # of those that people say, with a sound that speaks against it
        language, texts, seconds = rng.choice(list(DOUBTFUL)), DOUBTFUL, rng.uniform(5, 25)
    else:
        language, texts, seconds = rng.choice(list(PHRASES)), PHRASES, rng.uniform(2, 25)
    text = " ".join([rng.choice(texts[language])] * rng.choice([1, 1, 1, 2]))
    true = {"too_slow", "too_fast", *(["wrong_language"] if language != around.language else [])}
    return Segment(text, around.language, seconds, frozenset({"known_phrase"}), frozenset(true), no_speech, sure)


def _foreign(rng: random.Random, sentences: Sentences) -> Segment:
    segment = _clean(rng, sentences)
    others = [code for code in sentences if code != segment.language]
    foreign = replace(segment, language=rng.choice(others), expected=frozenset({"wrong_language"}))
    if rng.random() < 0.15:  # only a few words of it
        text = segment.text[:6] if segment.language in ("zh", "ja") else " ".join(segment.text.split()[:3])
        return replace(foreign, text=text, seconds=read_aloud(text, segment.language) * rng.uniform(0.75, 1.6))
    return foreign


def _hurried(rng: random.Random, sentences: Sentences) -> Segment:
    """A text of more speech than the segment has."""
    segment = _clean(rng, sentences)
    return replace(segment, seconds=segment.seconds / rng.uniform(2, 10), expected=frozenset({"too_fast"}))


def _unheard(rng: random.Random, sentences: Sentences) -> Segment:
    segment = _clean(rng, sentences)
    silent, sure = rng.uniform(0.62, 0.99), rng.uniform(-1.9, -1.02)
    return replace(segment, no_speech_prob=silent, avg_logprob=sure, expected=frozenset({"no_speech"}))


def _slow(rng: random.Random, sentences: Sentences) -> Segment:
    """A few words for half a minute."""
    language = rng.choice(list(sentences))
    text, _, _ = rng.choice(sentences[language])
    text = text[:8] if language in ("zh", "ja") else " ".join(text.split()[:4])
    return Segment(text, language, rng.uniform(20, 30), frozenset({"too_slow"}))


def _behind(rng: random.Random, sentences: Sentences) -> Segment:
    segment = _clean(rng, {code: said for code, said in sentences.items() if code not in ("zh", "ja")})
    return replace(segment, behind=rng.uniform(0.25, 0.9), expected=frozenset({"words_outside"}))


def _empty(rng: random.Random, sentences: Sentences) -> Segment:
    return Segment(rng.choice(_WITHOUT_WORDS), "en", rng.uniform(0.5, 20), frozenset({"empty"}))


def read_aloud(text: str, language: str) -> float:
    """Seconds that it takes."""
    return len("".join(text.split())) / CHARACTERS_PER_MINUTE[language] * 60
