# ruff: noqa: RUF001 (full-width marks)
"""Agreement with a publisher's transcript: other boundaries, other times, things left out."""

import random

import jiwer
import polars as pl
import pytest

from podcast_assets.quality.agreement import error_rates, transcript_agreement
from podcast_assets.quality.text.spoken_form import spoken_words

SAID = [
    "Welcome back to the show, today we talk about bridges.",
    "Thank you for having me, I have looked forward to this.",
    "How did you come to build bridges in the first place?",
    "My uncle had a workshop by the river, with twenty-one tools.",
    "And what was the first one that you built yourself?",
    "A small one of wood, across the creek behind our house.",
]


def heard(texts: list[str], language: str = "en") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "segment_id": [f"s{n}" for n in range(len(texts))],
            "start": [5.0 * n for n in range(len(texts))],
            "end": [5.0 * n + 4.5 for n in range(len(texts))],
            "text": texts,
            "language": language,
        }
    )


def published(texts: list[str], shift: float = 0.0, seconds: float = 5.0, language: str | None = "en") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "episode_id": "e",
            "language": [language] * len(texts),
            "format": "vtt",
            "start": [shift + seconds * n for n in range(len(texts))],
            "end": [shift + seconds * n + 0.9 * seconds for n in range(len(texts))],
            "speaker": None,
            "text": texts,
        },
        schema_overrides={"language": pl.String, "speaker": pl.String},
    )


def rates(segments: pl.DataFrame, reference: pl.DataFrame) -> list[float | None]:
    return transcript_agreement(segments, reference)["reference_wer"].to_list()


def test_the_same_words_agree_whatever_their_spelling():
    theirs = [t.replace("twenty-one", "21").upper() + " [laughter]" for t in SAID]
    found = transcript_agreement(heard(SAID), published(theirs))
    assert found["reference_wer"].to_list() == [0.0] * 6
    assert found["reference_cer"].to_list() == [0.0] * 6
    assert found["reference_words"][0] == 10


def test_errors_stay_in_their_segment():
    mistaken = list(SAID)
    mistaken[2] = "How did you come to bill bridges in the place?"
    found = rates(heard(mistaken), published(SAID))
    assert found[2] == pytest.approx(2 / 11)
    assert found[:2] + found[3:] == [0.0] * 5


@pytest.mark.parametrize("shift", [-3.0, 0.0, 95.0])
def test_cues_of_other_lengths_at_other_times(shift: float):
    words = " ".join(SAID).split()
    cues = [" ".join(words[n : n + 7]) for n in range(0, len(words), 7)]
    assert rates(heard(SAID), published(cues, shift, seconds=30 / len(cues))) == [0.0] * 6


def test_what_nobody_heard_counts_where_it_was_said():
    partly = [SAID[0], "Thank you for having me", *SAID[2:4], "", SAID[5]]
    found = transcript_agreement(heard(partly), published(SAID))
    assert found["reference_wer"][1] == pytest.approx(6 / 11)
    assert found["reference_wer"][4] == 1.0
    assert found["reference_words"][4] == 10
    assert found["reference_wer"][0] == found["reference_wer"][2] == found["reference_wer"][5] == 0.0


def test_what_the_publisher_left_out_has_no_rate():
    found = transcript_agreement(heard(SAID), published(SAID[:2]).vstack(published(SAID[3:], 15.0)))
    assert found["reference_words"][2] == 0
    assert found["reference_wer"][2] is None
    assert found["reference_wer"][3] == 0.0


def test_advertisements_that_only_the_reference_has_are_no_errors():
    advert = ["This episode is brought to you by a mattress.", "Use the code sleep for ten percent off."]
    theirs = published(SAID[:3]).vstack(published(advert, 15.0)).vstack(published(SAID[3:], 25.0))
    assert rates(heard(SAID), theirs) == [0.0] * 6


def test_another_recording_or_another_language_is_no_reference():
    other = ["Completely different words come here", "about fish, salt, and the deep cold sea"]
    assert rates(heard(SAID), published(other)) == [None] * 6
    assert rates(heard(SAID), published(SAID, language="fr")) == [None] * 6
    assert rates(heard(SAID), published(SAID, language=None)) == [0.0] * 6


def test_a_few_common_words_make_no_reference_of_a_long_recording():
    rng = random.Random(5)
    common = "the of and to a in that is it you we was for on with as they at be this have from or had but not what all".split()
    long = [" ".join(rng.choices(common, k=12)) for _ in range(300)]
    assert set(
        rates(heard(long), published(["that was not what they had in it", "but you and all of the others"]))
    ) == {None}


def test_many_mistakes_are_no_other_recording():
    rng = random.Random(6)
    mistaken = [" ".join(w if rng.random() > 0.35 else "hmm" for w in text.split()) for text in SAID * 5]
    found = rates(heard(mistaken), published(SAID * 5))
    assert 0.25 < sum(f for f in found if f is not None) / 30 < 0.45


def test_characters_are_compared_where_no_spaces_are_written():
    ours = ["今天我们讨论桥梁的历史", "我在村子里长大"]
    theirs = ["今天我们讨论桥梁历史。", "我在村子里长大！"]
    found = rates(heard(ours, "zh"), published(theirs, language="zh"))
    assert found == [pytest.approx(1 / 10), 0.0]


def test_rates_are_those_of_jiwer():
    rng = random.Random(4)
    words = " ".join(SAID).split()
    for _ in range(200):
        ours, theirs = rng.choices(words, k=rng.randint(0, 12)), rng.choices(words, k=rng.randint(1, 12))
        wer, cer = error_rates(ours, theirs)
        assert wer == pytest.approx(jiwer.wer(" ".join(theirs), " ".join(ours)))
        assert cer == pytest.approx(jiwer.cer("".join(theirs), "".join(ours)))


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Twenty-one colours, Mr. Smith", "21 colors, mister Smith", "en"),
        ("einundzwanzig Äpfel", "21 äpfel (lacht)", "de"),
        ("vingt et un ponts", "21 ponts", "fr"),
        ("हिन्दी में [संगीत] बात", "हिन्दी में बात।", "hi"),
        ("ＡＢＣ今天", "abc 今 天", "zh"),
    ],
)
def test_what_sounds_the_same_is_the_same(one: str, other: str, language: str):
    assert spoken_words([one], [language]) == spoken_words([other], [language])


def test_no_segments():
    assert transcript_agreement(heard(SAID).clear(), published(SAID)).height == 0
