"""Transcription of a test clip with known text: an engine can load well and still return nothing."""

from dataclasses import dataclass

from podcast_assets import demo
from podcast_assets.cli.doctor.finding import Finding, first_line
from podcast_assets.common.errors import is_out_of_memory
from podcast_assets.speech.types import EpisodeSpeech, Samples, Transcriber, Turn

AREA = "a known clip"
EPISODE, TURNS = "night-science.mp3", 3
"""The clip: the first turns of an episode of the sample batch, 13 s of two synthetic voices."""
FAIR, POOR = 0.5, 0.9
"""Share of wrong words up to which the voices explain it (pocketsphinx gets 0.4 of the sample batch wrong), and from which on
next to nothing of the clip was heard."""


@dataclass(frozen=True)
class Clip:
    """A test clip: audio, speaker turns and text."""

    audio: Samples
    turns: tuple[Turn, ...]
    text: str


def known_clip() -> Clip:
    """Load the test clip of the package."""
    from podcast_assets.audio.decode import decode

    reference = demo.load_reference(EPISODE.split(".")[0])[:TURNS]
    turns = tuple(Turn(t["start"], t["end"], t["speaker"]) for t in reference)
    return Clip(decode(demo.BATCH / EPISODE), turns, " ".join(t["text"] for t in reference))


def examine(title: str, transcriber: Transcriber, clip: Clip, *, needed: bool) -> Finding:
    """Check that a loaded transcriber transcribes a clip correctly.

    Args:
        title: of the transcriber, for people.
        transcriber: loaded.
        clip: what it hears.
        needed: whether a run depends on it.
    """
    try:
        heard = transcribe_clip(transcriber, clip)
    except Exception as error:  # of the device, the driver, the model: no common base
        todo = "another process may use the memory: try again when it has ended" if is_out_of_memory(error) else None
        what = f"{title} fails at it: {type(error).__name__}: {first_line(error)}"
        return Finding(AREA, "missing", what, todo, needed)
    wrong = word_error_rate(clip.text, heard)
    if wrong <= FAIR:
        return Finding(AREA, "ok", f"{title} transcribes it: yes (WER {wrong:.2f})")
    if wrong < POOR:
        return Finding(AREA, "warning", f"{title} makes many errors (WER {wrong:.2f}): {heard[:80]!r}")
    what = (
        f"{title} returns no text for it"
        if not heard
        else f"{title} hears something else (WER {wrong:.2f}): {heard[:80]!r}"
    )
    todo = "on a GPU, this is mostly the driver: update it, or choose the profile cpu"
    return Finding(AREA, "missing", what, todo, needed)


def transcribe_clip(transcriber: Transcriber, clip: Clip) -> str:
    """Transcribe a clip. Raises whatever the transcriber raises."""
    speech = EpisodeSpeech("known clip", clip.audio, clip.turns, language="en")
    (heard,) = transcriber.transcribe([speech])
    if isinstance(heard.transcripts, Exception):
        raise heard.transcripts
    return " ".join(t.text for t in heard.transcripts if t.text).strip()


def word_error_rate(said: str, heard: str) -> float:
    """Word error rate: substitutions, insertions and deletions over the number of reference words."""
    expected, found = _split_words(said), _split_words(heard)
    row = list(range(len(found) + 1))
    for i, word in enumerate(expected, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(found, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1] / len(expected)


def _split_words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()
