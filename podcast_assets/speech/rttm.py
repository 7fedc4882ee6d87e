"""RTTM (Rich Transcription Time Marked), the text format in which diarization is exchanged and scored.

One line per turn, ten fields between spaces (NIST, RT-09 evaluation plan, appendix A):
`SPEAKER <file> <channel> <start> <duration> <NA> <NA> <speaker> <NA> <NA>`, times in seconds.
"""

from collections.abc import Iterable

from podcast_assets.speech.types import Turn

NOBODY = "<NA>"
"""Name of an unknown speaker."""


def parse_rttm(text: str) -> dict[str, list[Turn]]:
    """Parse the turns of each file, in order of their start. Lines of other types and comments are skipped.

    Raises:
        ValueError: a SPEAKER line has too few fields or invalid times; the message names the line.
    """
    files: dict[str, list[Turn]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        if len(fields) < 8:
            raise ValueError(f"RTTM line {number} has {len(fields)} fields, and a SPEAKER line needs 8 at least")
        try:
            start, duration = float(fields[3]), float(fields[4])
        except ValueError as error:
            raise ValueError(f"RTTM line {number}: start {fields[3]!r}, duration {fields[4]!r}") from error
        speaker = None if fields[7] == NOBODY else fields[7]
        files.setdefault(fields[1], []).append(Turn(start, start + duration, speaker))
    return {file: sorted(turns, key=lambda t: (t.start, t.end)) for file, turns in files.items()}


def format_rttm(file: str, turns: Iterable[Turn]) -> str:
    """Format turns of one file as RTTM, with times to the millisecond.

    Raises:
        ValueError: the name of the file or of a speaker is empty or contains white space, which the format does not allow.
    """
    lines = []
    for turn in turns:
        speaker = NOBODY if turn.speaker is None else turn.speaker
        for name in (file, speaker):
            if len(name.split()) != 1 or name != name.strip():
                raise ValueError(f"{name!r} cannot be a name in RTTM")
        duration = turn.end - turn.start
        lines.append(f"SPEAKER {file} 1 {turn.start:.3f} {duration:.3f} <NA> <NA> {speaker} <NA> <NA>\n")
    return "".join(lines)
