import pytest

from podcast_assets.speech.diarizers.turns import add_overlap, names_by_appearance, one_at_a_time, speaker_bounds
from podcast_assets.speech.types import Turn


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [(None, None, (2, 6)), (1, None, (1, 6)), (8, None, (8, 8)), (None, 1, (1, 1)), (3, 3, (3, 3))],
)
def test_what_is_known_of_an_episode_goes_before_the_settings(
    least: int | None, most: int | None, expected: tuple[int, int]
):
    assert speaker_bounds((2, 6), least, most) == expected


@pytest.mark.parametrize(("least", "most"), [(3, 2), (0, 2), (0, None), (None, 0)])
def test_bounds_that_cannot_be(least: int | None, most: int | None):
    with pytest.raises(ValueError, match="an episode cannot have"):
        speaker_bounds((2, 6), least, most)


def test_a_turn_goes_on_after_the_one_that_interrupts_it():
    turns = [Turn(0, 10, "a"), Turn(2, 3, "b"), Turn(5, 6, "c"), Turn(9, 12, "b"), Turn(13, 14, "a")]
    assert one_at_a_time(turns) == [
        Turn(0, 2, "a"),
        Turn(2, 3, "b"),
        Turn(3, 5, "a"),
        Turn(5, 6, "c"),
        Turn(6, 9, "a"),
        Turn(9, 12, "b"),
        Turn(13, 14, "a"),
    ]


def test_turns_that_do_not_meet_stay_as_they_are():
    turns = [Turn(0, 1, "a"), Turn(1, 2, None), Turn(2.5, 3, "a")]
    assert one_at_a_time(turns) == turns


def test_overlap_is_the_share_in_which_anybody_else_speaks():
    full = [Turn(0, 10, "a"), Turn(2, 4, "b"), Turn(3, 5, "c"), Turn(8, 12, "b"), Turn(12, 14, "a")]
    turns = [Turn(0, 10, "a"), Turn(10, 12, "b"), Turn(12, 14, "a")]
    assert [t.overlap for t in add_overlap(turns, full)] == [pytest.approx(0.5), 0, 0]


def test_speakers_are_named_as_they_appear():
    turns, full = [Turn(1, 2, "x"), Turn(3, 4, "y")], [Turn(0, 4, "y"), Turn(0, 1, "z"), Turn(1, 2, "x")]
    assert names_by_appearance(turns, full) == {"x": "SPEAKER_00", "y": "SPEAKER_01", "z": "SPEAKER_02"}
