from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from pydantic import ValidationError

from podcast_assets.speech.segmentation import PRESETS, SegmentationSettings, segment, silero
from podcast_assets.speech.types import SAMPLE_RATE, Audio, Diarization, Pcm, Samples, Turn
from podcast_assets_tests.miniature import BATCH

Stretch = tuple[float, float]
Labelled = tuple[float, float, str | None]


WITHOUT_MARGINS = SegmentationSettings()
"""The rules `asr` without moving the edges, so that times are those given."""
NOISE = (np.random.default_rng(0).normal(size=320 * SAMPLE_RATE) * 0.1).astype(np.float32)


class Reads:
    """Noise of a length in seconds, quiet in some stretches; remembers what was read."""

    def __init__(self, seconds: float, quiet: Sequence[Stretch] = ()) -> None:
        self.sound = NOISE[: round(seconds * SAMPLE_RATE)]
        if quiet:
            self.sound = self.sound.copy()
        for start, end in quiet:
            self.sound[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] *= 0.01
        self.seconds: list[float] = []

    def __len__(self) -> int:
        return len(self.sound)

    def __getitem__(self, part: slice) -> Samples:
        self.seconds.append(len(self.sound[part]) / SAMPLE_RATE)
        return self.sound[part]


def silence(seconds: float) -> Pcm:
    return Pcm(np.zeros(round(seconds * SAMPLE_RATE), np.int16))


def turns(*turns: Labelled) -> list[Turn]:
    return [Turn(*t) for t in turns]


def labelled(found: Sequence[Turn]) -> list[Labelled]:
    return [(t.start, t.end, t.speaker) for t in found]


def cut(how: SegmentationSettings | str, given: Sequence[Labelled], audio: Audio | None = None) -> list[Labelled]:
    how = {**PRESETS, "asr": WITHOUT_MARGINS}[how] if isinstance(how, str) else how
    return labelled(segment(Diarization(turns(*given)), silence(200) if audio is None else audio, how, lambda part: []))


@pytest.mark.parametrize("preset", ["asr", "emilia", "none"])
def test_an_episode_without_speech_has_no_segments(preset: str):
    assert cut(preset, []) == []
    assert cut(preset, [(0.5, 1.0, "A")], silence(0)) == []


@pytest.mark.parametrize("preset", ["asr", "emilia", "none"])
def test_turns_are_cut_to_the_audio_and_empty_ones_go(preset: str):
    given = [(-1.0, 2.0, "A"), (3.0, 3.0, "B"), (4.0, 4.0004, "A"), (8.0, 12.0, "B"), (11.0, 13.0, "A")]
    assert cut(preset, given, silence(10)) == [(0.0, 2.0, "A"), (8.0, 10.0, "B")]


@pytest.mark.parametrize("preset", ["asr", "emilia", "none"])
def test_order_of_start_whatever_the_order_of_the_turns(preset: str):
    assert cut(preset, [(5, 6, "B"), (0, 4, "A")]) == [(0, 4, "A"), (5, 6, "B")]


def test_times_are_whole_milliseconds():
    assert cut("asr", [(1.00049, 2.00051, "A")]) == [(1.0, 2.001, "A")]


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"longest": 0.5}, {"max_gap": -1}, {"rules": "whisper"}, {"max_gab": 1}):
        with pytest.raises(ValidationError):
            SegmentationSettings.model_validate(wrong)


def test_pieces_of_a_long_turn_take_their_place_among_the_others():
    found = cut("asr", [(0, 40, "A"), (3, 4, "B")], Reads(50))
    assert [s for *_, s in found] == ["A", "B", "A"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([(0, 2, "A"), (2.5, 4, "A")], [(0, 4, "A")], id="a short pause"),
        pytest.param([(0, 2, "A"), (2.501, 4, "A")], [(0, 2, "A"), (2.501, 4, "A")], id="a long pause"),
        pytest.param(
            [(0, 2, "A"), (2, 3, "B"), (3, 4, "A")], [(0, 2, "A"), (2, 3, "B"), (3, 4, "A")], id="three turns"
        ),
        pytest.param([(0, 2, "A"), (2.1, 2.2, "B"), (2.3, 4, "A")], None, id="somebody else in the pause"),
        pytest.param([(0, 2, "A"), (2.1, 2.2, None), (2.3, 4, "A")], None, id="somebody unknown in the pause"),
        pytest.param([(0, 2, None), (2.3, 4, None)], [(0, 4, None)], id="both unknown"),
        pytest.param([(0, 2, "A"), (2, 4, "B")], None, id="no pause, two speakers"),
        pytest.param([(0, 10, "A"), (2, 3, "A")], [(0, 10, "A")], id="one inside the other"),
        pytest.param([(0, 0.02, "A"), (5, 5.01, "B")], None, id="tiny turns are kept"),
    ],
)
def test_asr_joins_one_speakers_turns(given: list[Labelled], expected: list[Labelled] | None):
    assert cut("asr", given) == (given if expected is None else expected)


def test_the_pause_to_join_over_is_a_setting():
    given: list[Labelled] = [(0, 2, "A"), (3, 4, "A")]
    assert cut(SegmentationSettings(max_gap=1.0), given) == [(0, 4, "A")]
    assert cut(SegmentationSettings(max_gap=None), [(0, 2, "A"), (2, 4, "A")]) == [(0, 2, "A"), (2, 4, "A")]


def test_what_only_the_full_diarization_knows_stands_between_two_turns_too():
    given = turns((0, 2, "A"), (2.4, 4, "A"))
    for other, joined in (((2.1, 2.3, "B"), False), ((1.5, 2.0, "B"), True), ((1.5, 2.1, "B"), False)):
        found = segment(Diarization(given, full=[*given, Turn(*other)]), silence(5), PRESETS["asr"])
        assert (len(found) == 1) is joined


def test_long_turns_are_cut_in_pauses():
    pauses = [(8.0, 8.3), (18.0, 18.3), (29.0, 29.3), (41.0, 41.3), (55.0, 55.3)]
    audio = Reads(80, pauses)
    found = cut("asr", [(1.0, 72.0, "A"), (72.2, 73.0, "A"), (74, 79, "B")], audio)
    assert found[-1] == (74, 79, "B")
    borders = [t for start, end, _ in found[:-1] for t in (start, end)]
    assert borders[0] == 1.0
    assert borders[-1] == 73.0
    assert len(found) == 4
    for (_, left), (right, _) in pairwise(zip(borders[::2], borders[1::2], strict=True)):
        assert left == right
        assert any(start < left < end for start, end in pauses)
    assert max(audio.seconds) <= 31
    assert len(audio.seconds) == len(found) - 2


def test_audio_is_not_read_where_nothing_is_cut():
    audio = Reads(100)
    cut("asr", [(0, 30, "A"), (40, 70, "B")], audio)
    cut("none", [(0, 90, "A")], audio)
    cut("emilia", [(0, 20, "A"), (40, 42, "B")], audio)
    assert audio.seconds == []


def test_none_leaves_turns_as_they_are_but_for_a_longest_one():
    given: list[Labelled] = [(0, 2, "A"), (2, 3, "A"), (3.1, 50, "A"), (50, 50.01, None)]
    assert cut("none", given, Reads(60)) == given
    capped = cut(PRESETS["none"].model_copy(update={"longest": 20.0}), given, Reads(60))
    assert capped[:2] == given[:2]
    assert capped[-1] == given[-1]
    assert len(capped) == 6


@pytest.mark.parametrize(
    ("speaker", "full", "expected"),
    [
        ("A", None, 0.0),
        ("A", [], 0.0),
        ("A", [(0, 10, "A")], 0.0),
        ("A", [(0, 10, "A"), (2, 5, "B")], 0.3),
        ("A", [(0, 10, "A"), (2, 5, "B"), (4, 6, "C"), (9, 30, "B")], 0.5),
        ("A", [(0, 10, "A"), (-5, 0, "B"), (10, 12, "B")], 0.0),
        ("A", [(0, 20, "B")], 1.0),
        (None, [(0, 10, "A")], 0.0),
        (None, [(0, 10, "A"), (2, 5, "B")], 0.3),
    ],
)
def test_overlap_is_the_share_in_which_somebody_else_speaks(
    speaker: str | None, full: list[Labelled] | None, expected: float
):
    given = Diarization([Turn(0, 10, speaker, overlap=0.9)], full=None if full is None else turns(*full))
    for how in (WITHOUT_MARGINS, PRESETS["emilia"], PRESETS["none"]):
        (found,) = segment(given, silence(40), how)
        assert found.overlap == pytest.approx(expected)


def test_overlap_is_measured_again_for_each_piece():
    full = turns((0, 50, "A"), (0, 5, "B"))
    first, second = segment(Diarization(turns((0, 50, "A")), full), Reads(60), PRESETS["asr"])
    assert first.overlap == pytest.approx(5 / first.end)
    assert second.overlap == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param([(0, 5, "A"), (6.999, 9.998, "A")], [(0, 9.998, "A")], id="short, after less than 2 s"),
        pytest.param([(0, 5, "A"), (7, 9, "A")], None, id="short, after 2 s"),
        pytest.param([(0, 5, "A"), (5.1, 8.1, "A")], None, id="3 s long"),
        pytest.param([(0, 1, "A"), (1.1, 2, "A"), (2.1, 3, "A")], [(0, 3, "A")], id="several short ones"),
        pytest.param([(0, 1, "A"), (1.1, 10, "A")], None, id="short before long"),
        pytest.param([(0, 5, "A"), (5, 6, "B"), (6, 7, "A")], None, id="somebody else between"),
        pytest.param([(0, 5, None), (5.1, 6, None)], None, id="unknown speakers"),
        pytest.param([(0, 25, "A"), (25, 27, "A"), (27.5, 29.999, "A")], [(0, 29.999, "A")], id="just under 30 s"),
        pytest.param([(0, 25, "A"), (25, 27, "A"), (27.5, 30, "A")], [(0, 27, "A"), (27.5, 30, "A")], id="30 s"),
        pytest.param([(0, 0.5, "A"), (10, 11, "B")], None, id="under 1 s is kept"),
        pytest.param([(1, 62, "A")], [(1, 31, "A"), (31, 61, "A"), (61, 62, "A")], id="no pause in more than 30 s"),
        pytest.param([(1, 61, "A")], [(1, 31, "A"), (31, 61, "A")], id="no pause in a multiple of 30 s"),
        pytest.param([(0, 32, "A"), (32.1, 33, "A")], [(0, 30, "A"), (30, 33, "A")], id="short after the rest"),
    ],
)  # fmt: skip
def test_emilia_joins_and_cuts_as_emilia_pipe_does(given: list[Labelled], expected: list[Labelled] | None):
    assert cut("emilia", given) == (given if expected is None else expected)


def test_emilia_cuts_long_turns_at_their_longest_pauses():
    speech = [(0.5, 6.0), (6.5, 12.0), (14.0, 19.0), (20.0, 30.0), (31.5, 44.0), (44.2, 49.0)]
    asked: list[tuple[int, float]] = []

    def find(part: Audio) -> list[Stretch]:
        asked.append((len(part), float(part[8 * SAMPLE_RATE : 9 * SAMPLE_RATE].mean())))
        return speech

    audio = Pcm(np.repeat(np.arange(100, dtype=np.int16), SAMPLE_RATE))  # each second says which it is
    found = segment(Diarization(turns((0, 20, "B"), (30, 80, "A"))), audio, PRESETS["emilia"], find)
    assert asked == [(50 * SAMPLE_RATE, pytest.approx(38 / 32768))]
    parts = [(30.5, 42.0, "A"), (44.0, 60.0, "A"), (61.5, 79.0, "A")]  # pauses of 2 and 1.5 s, then all under 20 s
    assert labelled(found) == [(0, 20, "B"), *parts]


def test_emilia_finds_the_pauses_of_real_speech():
    audio = np.asarray(decode_audio(str(BATCH / "night-science.mp3")), np.float32)
    seconds = len(audio) // 16 / 1000
    speech = silero(audio)
    found = segment(Diarization([Turn(0, seconds, "A")]), audio, PRESETS["emilia"])
    assert len(found) > 1
    assert found[0].start == pytest.approx(speech[0][0], abs=1e-3)
    assert found[-1].end == pytest.approx(speech[-1][1], abs=1e-3)
    assert all(t.end - t.start < 20 for t in found)
    for start, end in speech:
        assert sum(t.start - 1e-3 <= start and end <= t.end + 1e-3 for t in found) == 1


def episodes() -> Iterator[tuple[Reads, Diarization]]:
    """Episodes made up at random: one speaker at a time, pauses and turns of all lengths, some of them with a full diarization."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        given: list[Turn] = []
        now = 0
        while now < 150_000:
            now += int(rng.choice([0, 1, 300, 500, 501, 2_500]))
            end = now + int(rng.choice([1, 40, 900, 8_000, 30_000, 30_001, 75_000]))
            given.append(Turn(now / 1000, end / 1000, [None, "A", "B", "C"][rng.integers(4)]))
            now = end
        others = [Turn(t.start + 0.1, t.start + rng.uniform(0.2, 5), "D") for t in given[:: rng.integers(2, 9)]]
        audio = Reads((now + rng.integers(-2_000, 2_000)) / 1000)
        yield audio, Diarization(given, full=[*given, *others] if seed % 2 else None)


def covered(found: Sequence[Turn], milliseconds: int) -> np.ndarray:
    """How many turns of each speaker hold each millisecond, shape (speakers, milliseconds)."""
    counts = np.zeros((4, milliseconds), int)
    for t in found:
        counts[[None, "A", "B", "C"].index(t.speaker), round(t.start * 1000) : round(t.end * 1000)] += 1
    return counts


@pytest.mark.parametrize(
    "how", [WITHOUT_MARGINS, PRESETS["none"], SegmentationSettings(max_gap=None), SegmentationSettings(longest=5.0)]
)
def test_nothing_is_lost_and_nothing_is_twice(how: SegmentationSettings):
    for audio, given in episodes():
        found = segment(given, audio, how)
        length = len(audio) // 16
        before, after = covered(given.turns, length), covered(found, length)
        assert after.sum(axis=0).max() <= 1
        assert (after >= before).all()
        added = np.flatnonzero(np.diff(np.pad((after - before).sum(axis=0), 1)))
        pauses = added[1::2] - added[::2]
        assert pauses.max(initial=0) <= (how.max_gap or 0) * 1000
        assert [t.start for t in found] == sorted(t.start for t in found)
        assert how.longest is None or max(t.end - t.start for t in found) <= how.longest + 1e-9
        assert all(0 <= t.start < t.end <= len(audio) / SAMPLE_RATE and 0 <= t.overlap <= 1 for t in found)
        assert segment(Diarization(found, given.full), audio, how) == found


def test_edges_move_but_nothing_is_lost():
    for audio, given in episodes():
        found = segment(given, audio, PRESETS["asr"])
        length = len(audio) // 16
        before, after = covered(given.turns, length).sum(axis=0), covered(found, length).sum(axis=0)
        assert after.max() <= 1
        assert (after >= before).all()
        assert all(t.start < t.end for t in found)


def test_segments_get_a_margin_up_to_the_middle_of_a_pause():
    given: list[Labelled] = [(1, 2, "A"), (2.3, 3, "B"), (4, 5, "A")]
    audio, how = silence(5.1), PRESETS["asr"]
    assert labelled(segment(Diarization(turns(*given)), audio, how)) == [
        (0.8, 2.15, "A"),
        (2.15, 3.2, "B"),
        (3.8, 5.1, "A"),
    ]


@pytest.mark.parametrize("quiet", [(2.1, 2.2), (1.85, 1.95)])
def test_where_turns_touch_they_are_cut_where_it_is_quiet(quiet: Stretch):
    first, second = segment(Diarization(turns((0, 2, "A"), (2, 4, "B"))), Reads(4, [quiet]), PRESETS["asr"])
    assert first.end == second.start == pytest.approx(sum(quiet) / 2, abs=0.03)


def test_an_edge_moves_no_farther_than_it_may():
    first, second = segment(Diarization(turns((0, 2, "A"), (2, 4, "B"))), Reads(4, [(2.6, 2.8)]), PRESETS["asr"])
    assert first.end == second.start == pytest.approx(2, abs=0.25)


def test_where_voices_overlap_the_edge_stays():
    given = turns((0, 2, "A"), (2, 4, "B"))
    overlapping = [Turn(0, 2.4, "A"), Turn(2, 4, "B")]
    first, second = segment(Diarization(given, full=overlapping), Reads(4, [(2.1, 2.2)]), PRESETS["asr"])
    assert first.end == second.start == 2


def test_emilia_keeps_turns_apart_and_short_enough():
    for audio, given in episodes():
        found = segment(given, audio, PRESETS["emilia"], lambda part: [])
        after = covered(found, len(audio) // 16)
        assert after.sum(axis=0).max() <= 1
        assert (after >= covered(given.turns, len(audio) // 16)).all()
        assert max(t.end - t.start for t in found) <= 30 + 1e-9
