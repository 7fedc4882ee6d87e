"""The page docs/reference/accuracy.md, from the recorded figures of `benchmarks/accuracy`."""

import json
from pathlib import Path

from tools.docs.markdown import table

RECORDED = Path(__file__).parents[2] / "benchmarks" / "accuracy" / "recorded.json"
INTRODUCTION = """# Accuracy

Measured by `make accuracy`, on two CPU cores, with the models of the extra `offline` (Whisper tiny.en for English, base for
other languages) and the diarizer that the profile chooses. It runs in CI and fails when a figure gets worse than here by
more than its noise. The figures compare ways of using the same models; larger models make fewer errors.

- **one reader**: twelve recordings of people who read or speak alone, against what they say.
- **dialogues**: clips of five readers with whom no setting was chosen, interleaved, with pauses of 0.6 or 0.15 s between
  turns or overlapping by 0.2 s, against what they say. Two dialogues of each kind, 558 words; a WER has a standard error of
  about 0.014.
- **telephone**, **meetings**: half a minute of a call, and two of four people in a room with distant microphones; only who
  speaks is known.
- **sample batch**: the whole episodes of the demonstration, in synthesized voices, against exact words and times.
- **nine languages**: 27 clips of a few seconds, whose language is not declared.

WER and deleted words are those of jiwer after Whisper's normalizer. DER is that of pyannote.metrics with a collar of 0.25 s,
overlap scored. Nobody is told the number of speakers. "±" is the largest change of a figure when all recordings are up to 1
dB louder or softer and 0.01 to 0.05 s later, which nothing should depend on; a processor of another kind may change them by
about as much.
"""


def render() -> str:
    """The page."""
    recorded = json.loads(RECORDED.read_text())
    figures, noise = recorded["figures"], recorded["noise"]
    systems = list(figures)
    rows = sorted({(corpus, name) for s in systems for corpus, names in figures[s].items() for name in names})
    lines = []
    for corpus, name in rows:
        cells = [corpus, name]
        for system in systems:
            value = figures[system].get(corpus, {}).get(name)
            cells.append("" if value is None else _figure(value, noise[system][corpus][name]))
        lines.append(cells)
    return INTRODUCTION + "\n" + table(["recordings", "measure", *systems], lines)


def _figure(value: float, noise: float) -> str:
    if value >= 10:
        return f"{value:.0f} ± {noise:.0f}"
    return f"{value:.3f} ± {noise:.3f}"
