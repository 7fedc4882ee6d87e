"""Check that an engine transcribes a clip with known text: one that loads can still return nothing."""

from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from podcast_assets import demo
from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import first_line, is_out_of_memory
from podcast_assets.speech.types import EpisodeSpeech, Samples, Transcriber, Turn

AREA = "a known clip"
EPISODE, TURNS = "night-science.mp3", 3
"""The clip: the first turns of an episode of the sample batch, 13 s of two synthetic voices."""
FAIR, POOR = 0.5, 0.9
"""WER up to which the synthetic voices explain the errors (pocketsphinx has 0.4 on the sample batch), and from which the clip was
not recognized at all."""


@dataclass(frozen=True)
class Clip:
    """A test clip: audio, speaker turns and text."""

    audio: Samples
    turns: tuple[Turn, ...]
    text: str


def known_clip() -> Clip:
    """Load the test clip."""
    from podcast_assets.audio.decode import decode

    reference = demo.load_reference(EPISODE.split(".")[0])[:TURNS]
    turns = tuple(Turn(t["start"], t["end"], t["speaker"]) for t in reference)
    return Clip(decode(demo.BATCH / EPISODE), turns, " ".join(t["text"] for t in reference))


def examine(title: str, transcriber: Transcriber, clip: Clip, *, needed: bool) -> Finding:
    """Check that a loaded transcriber transcribes a clip correctly.

    Args:
        title: name of the transcriber in the finding.
        transcriber: the loaded transcriber.
        clip: the clip.
        needed: whether the profile needs it.
    """
    try:
        text = transcribe_clip(transcriber, clip)
    except Exception as error:  # of the device, the driver or the model, which have no common base
        todo = "another process may use the memory: try again when it has ended" if is_out_of_memory(error) else None
        what = f"{title} fails on it: {type(error).__name__}: {first_line(error)}"
        return Finding(AREA, "missing", what, todo, needed)
    wer = word_error_rate(clip.text, text)
    if wer <= FAIR:
        return Finding(AREA, "ok", f"{title} transcribes it (WER {wer:.2f})")
    if wer < POOR:
        return Finding(AREA, "warning", f"{title} makes many errors (WER {wer:.2f}): {text[:80]!r}")
    what = (
        f"{title} returns a different text (WER {wer:.2f}): {text[:80]!r}"
        if text
        else f"{title} returns no text for it"
    )
    todo = "on a GPU, the cause is usually the driver: update it, or choose the profile cpu"
    return Finding(AREA, "missing", what, todo, needed)


def transcribe_clip(transcriber: Transcriber, clip: Clip) -> str:
    """Transcribe a clip. Raises whatever the transcriber raises."""
    speech = EpisodeSpeech("known clip", clip.audio, clip.turns, language="en")
    (result,) = transcriber.transcribe([speech])
    if isinstance(result.transcripts, Exception):
        raise result.transcripts
    return " ".join(t.text for t in result.transcripts if t.text).strip()


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Word error rate: substitutions, insertions and deletions over the number of reference words."""
    expected = _split_words(reference)
    return Levenshtein.distance(expected, _split_words(hypothesis)) / len(expected)


def _split_words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()
