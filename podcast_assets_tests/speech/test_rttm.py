import pytest

from podcast_assets.speech.rttm import format_rttm, parse_rttm
from podcast_assets.speech.types import Turn


def test_what_is_written_is_read_back():
    turns = [Turn(0.5, 2.25, "SPEAKER_00"), Turn(2.0, 3.125, "MÉO069")]
    assert parse_rttm(format_rttm("episode", turns)) == {"episode": turns}


def test_a_line_has_the_ten_fields_of_the_format():
    line = format_rttm("episode", [Turn(1, 3.5, "A")])
    assert line == "SPEAKER episode 1 1.000 2.500 <NA> <NA> A <NA> <NA>\n"


def test_several_files_other_lines_and_any_order():
    text = """;; made by hand
SPKR-INFO one 1 <NA> <NA> <NA> unknown A <NA>

SPEAKER one 1 4 1 <NA> <NA> B <NA> <NA>
SPEAKER two 1 0 1 <NA> <NA> A <NA>
SPEAKER one 1 1.5 2 <NA> <NA> A <NA> <NA>
"""
    assert parse_rttm(text) == {"one": [Turn(1.5, 3.5, "A"), Turn(4, 5, "B")], "two": [Turn(0, 1, "A")]}


@pytest.mark.parametrize("line", ["SPEAKER one 1 0", "SPEAKER one 1 zero 1 <NA> <NA> A <NA> <NA>"])
def test_a_broken_line_is_named(line: str):
    with pytest.raises(ValueError, match="line 2"):
        parse_rttm(f";; comment\n{line}\n")


@pytest.mark.parametrize(("file", "speaker"), [("my episode", "A"), ("episode", "Jane Doe"), ("episode", "")])
def test_names_that_the_format_cannot_hold_are_refused(file: str, speaker: str):
    with pytest.raises(ValueError, match="cannot be a name"):
        format_rttm(file, [Turn(0, 1, speaker)])
