"""Figures of accuracy: error rates of words and speakers, times of words, languages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import jiwer
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from benchmarks.accuracy.corpora import Recording
from podcast_assets.quality.text.spoken_form import spoken_words
from podcast_assets.speech.types import Turn, Word

COLLAR = 0.25
"""Seconds around a reference's edges that DER does not count, half of it on each side."""
LOWER_IS_BETTER = {
    "WER": True,
    "words deleted": True,
    "median error of a word's start, ms": True,
    "DER": True,
    "speakers missed or invented": True,
    "language right": False,
}


@dataclass(frozen=True)
class Result:
    """What a system made of a recording; None where it does not tell."""

    text: str | None = None
    words: Sequence[Word] | None = None
    turns: Sequence[Turn] | None = None
    language: str | None = None
    seconds: float | None = None
    """Length of the recording, for DER."""


def measure(recordings: Iterable[Recording], results: Mapping[str, Result]) -> dict[str, dict[str, float]]:
    """Compute the figures of each corpus: corpus → measure → value."""
    by_corpus: dict[str, list[tuple[Recording, Result]]] = {}
    for recording in recordings:
        by_corpus.setdefault(recording.corpus, []).append((recording, results[recording.name]))
    return {
        corpus: _word_figures(pairs) | _speaker_figures(pairs) | _language_figures(pairs)
        for corpus, pairs in by_corpus.items()
    }


def _word_figures(pairs: Sequence[tuple[Recording, Result]]) -> dict[str, float]:
    texts = [(r, h) for r, h in pairs if r.text is not None and h.text is not None]
    if not texts:
        return {}
    languages = [r.spoken_language for r, _ in texts]
    said = spoken_words([r.text or "" for r, _ in texts], languages)
    written = spoken_words([h.text or "" for _, h in texts], languages)
    output = jiwer.process_words([" ".join(w) for w in said], [" ".join(w) for w in written])
    found = {"WER": output.wer, "words deleted": output.deletions / sum(map(len, said))}
    if times := [e for r, h in texts if r.words and h.words for e in _start_errors(r.words, h.words)]:
        found["median error of a word's start, ms"] = 1000 * median(times)
    return found


def _start_errors(said: Sequence[Word], written: Sequence[Word]) -> list[float]:
    """Return the distances in seconds between the starts of words that both have."""
    forms = [[_form(w.word) for w in words] for words in (said, written)]
    output = jiwer.process_words(" ".join(forms[0]), " ".join(forms[1]))
    errors = []
    for chunk in output.alignments[0]:
        if chunk.type != "equal":
            continue
        for i, j in zip(
            range(chunk.ref_start_idx, chunk.ref_end_idx), range(chunk.hyp_start_idx, chunk.hyp_end_idx), strict=True
        ):
            first, second = said[i].start, written[j].start
            if first is not None and second is not None:
                errors.append(abs(first - second))
    return errors


def _form(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum()) or "-"


def _speaker_figures(pairs: Sequence[tuple[Recording, Result]]) -> dict[str, float]:
    metric, wrong = DiarizationErrorRate(collar=COLLAR, skip_overlap=False), []
    for recording, result in pairs:
        if recording.turns is None or result.turns is None or result.seconds is None:
            continue
        whole = Timeline([Segment(0, result.seconds)])
        metric(_annotation(recording.turns), _annotation(result.turns), uem=whole)
        wrong.append(abs(len({t.speaker for t in recording.turns}) - len({t.speaker for t in result.turns})))
    return {"DER": abs(metric), "speakers missed or invented": float(sum(wrong))} if wrong else {}


def _annotation(turns: Sequence[Turn]) -> Annotation:
    made = Annotation()
    for i, turn in enumerate(turns):
        made[Segment(turn.start, turn.end), i] = turn.speaker
    return made


def _language_figures(pairs: Sequence[tuple[Recording, Result]]) -> dict[str, float]:
    told = [(r.spoken_language, h.language) for r, h in pairs if r.language is None and h.language is not None]
    return {"language right": sum(a == b for a, b in told) / len(pairs)} if told else {}
