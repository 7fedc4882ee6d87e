"""Segments become phrases that read as sentences."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podcast_assets.catalog.search.phrases import LENGTH, MAX_LENGTH, Phrase, SpokenSegment, merge_phrases


def segment(
    text: str, start: float, speaker: str | None = "A", *, step: float = 0.4, words: bool = True, **more: Any
) -> SpokenSegment:
    spoken = text.split()
    timed = [
        {"word": word, "start": start + step * i, "end": start + step * i + 0.3, "probability": 0.9}
        for i, word in enumerate(spoken)
    ]
    end = start + step * len(spoken)
    return SpokenSegment(
        f"e-{start}", start, more.pop("end", end), speaker, more.pop("language", "en"), text, timed if words else ()
    )


def texts(phrases: list[Phrase]) -> list[str]:
    return [p.text for p in phrases]


def test_segments_of_one_speaker_merge_until_a_pause() -> None:
    found = merge_phrases([segment("I bake bread", 0), segment("every day.", 1.5), segment("Then I sleep.", 6)])
    assert [(p.text, p.start, p.segment_ids) for p in found] == [
        ("I bake bread every day.", 0, ("e-0", "e-1.5")),
        ("Then I sleep.", 6, ("e-6",)),
    ]
    assert found[0].end == 1.5 + 0.4 + 0.3


def test_a_pause_within_a_segment_ends_a_phrase() -> None:
    words = [
        {"word": "Wait.", "start": 0.0, "end": 0.5, "probability": None},
        {"word": "Now.", "start": 5.0, "end": 5.5, "probability": None},
    ]
    found = merge_phrases([SpokenSegment("s", 0, 6, "A", "en", "Wait. Now.", words)])
    assert [(p.text, p.start, p.end) for p in found] == [("Wait.", 0, 0.5), ("Now.", 5, 5.5)]


def test_never_across_speakers_and_an_interjection_ends_no_phrase() -> None:
    found = merge_phrases([segment("so I asked her", 0), segment("mhm", 1.2, "B"), segment("what she wants.", 1.8)])
    assert [(p.text, p.speaker, p.index) for p in found] == [
        ("so I asked her what she wants.", "A", 0),
        ("mhm", "B", 1),
    ]


def test_long_speech_is_cut_at_the_ends_of_sentences() -> None:
    sentence = "This sentence has exactly some forty letters."
    found = merge_phrases([segment(" ".join([sentence] * 20), 0)])
    assert all(p.text.endswith(".") and p.text.startswith("This") and len(p.text) <= LENGTH for p in found)
    assert " ".join(texts(found)) == " ".join([sentence] * 20)
    one_of_250 = "word " * 49 + "word."
    assert texts(merge_phrases([segment(f"{one_of_250} {one_of_250}", 0)])) == [one_of_250, one_of_250]


def test_without_times_of_words_the_segments_times_hold() -> None:
    sentence = "A sentence of some length that ends here."
    found = merge_phrases([segment(" ".join([sentence] * 10), 3, words=False, end=33)])
    assert len(found) > 1
    assert {(p.start, p.end) for p in found} == {(3, 33)}
    assert all(p.text.startswith("A sentence") and p.text.endswith("here.") for p in found)


def test_texts_keep_what_is_not_in_their_words() -> None:
    words = [
        {"word": "Hello", "start": 0.0, "end": 0.5, "probability": None},
        {"word": "world", "start": None, "end": None, "probability": None},
    ]
    assert texts(merge_phrases([SpokenSegment("s", 0, 1, None, "en", "— Hello, world! (laughs)", words)])) == [
        "— Hello, world! (laughs)"
    ]
    assert texts(merge_phrases([SpokenSegment("s", 0, 1, None, "en", "Another text.", words)])) == ["Another text."]


def test_scripts_without_spaces() -> None:
    text = "我昨天去了東京。" * 60
    words = [{"word": c, "start": i / 10, "end": i / 10 + 0.1, "probability": None} for i, c in enumerate(text)]
    found = merge_phrases([SpokenSegment("s", 0, 60, "A", "zh", text, words)])
    assert "".join(texts(found)) == text
    assert all(len(p.text) <= LENGTH and p.text.endswith("。") for p in found)


_TEXT = st.text(alphabet="ab .,!?。京都'\n", max_size=700)


def test_spaces_within_a_text_stay_as_they_are() -> None:
    words = [
        {"word": w, "start": float(i), "end": i + 0.9, "probability": None}
        for i, w in enumerate(["one", "two", "three", "four"])
    ]
    text = "(one) two, three-four!"
    assert texts(merge_phrases([SpokenSegment("s", 0, 4, "A", "en", text, words)])) == [text]


@given(st.lists(st.tuples(_TEXT, st.floats(0, 3), st.sampled_from(["A", "B", None]), st.booleans()), max_size=8))
@settings(max_examples=40, deadline=None)
def test_nothing_is_lost_or_too_long(rows: list[tuple[str, float, str | None, bool]]) -> None:
    start, segments = 0.0, []
    for text, pause, speaker, words in rows:
        segments.append(segment(text, start, speaker, words=words))
        start = segments[-1].end + pause
    found = merge_phrases(segments)
    for speaker in ("A", "B", None):
        spoken = "".join(s.text for s in segments if s.speaker == speaker)
        assert "".join("".join(p.text.split()) for p in found if p.speaker == speaker) == "".join(spoken.split())
    assert all(len(p.text) <= MAX_LENGTH or len(p.text.split()) == 1 for p in found)
    assert [p.index for p in found] == list(range(len(found)))
    assert [p.start for p in found] == sorted(p.start for p in found)
