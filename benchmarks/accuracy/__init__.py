"""Accuracy of the whole pipeline beside faster-whisper alone and senko alone, on fixed recordings; fails where a figure got worse.

    python -m benchmarks.accuracy [--real FOLDER] [--languages FOLDER] [--profile NAME …] [--json FILE] [--record [--noise ROUNDS]]

Measured on the sample batch, in synthesized voices. With --real also on the real recordings in that folder: one reader at a time,
dialogues of real voices (`podcast_assets_tests/dialogues.py`, voices with which nothing was chosen), a telephone conversation,
pieces of meetings. With --languages also on short clips in nine languages, whose language is not declared: `samples/audio` of
pytest-audioeval.

References are true words. WER is that of jiwer after Whisper's normalizer; DER that of pyannote.metrics with a collar of 0.25 s,
overlap scored. Nobody is told the number of speakers.

Ends with 1 if a figure is worse than recorded by more than its noise. --record writes the figures of this machine; with --noise the
noise of each is measured: the largest change when all recordings are a little louder or later, which nothing should depend on. What
was recorded before stays as the least, and so does the difference between two processors, of which two were compared.
"""

from benchmarks.accuracy.command import main as main
