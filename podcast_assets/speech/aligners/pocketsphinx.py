"""English word times with nothing to download: PocketSphinx's aligner, whose package carries its model.

A classical aligner: hidden Markov models of triphones, 10 ms frames, a dictionary of 130,000 words. In the sample batch, which is
synthesized speech, half of the words start within 0.01 s of the truth and nine of ten within 0.03 s, 50 times as fast as it is
spoken. Its accuracy is good enough that its rows are not marked as embedded.
"""

import re
import unicodedata
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines.engine import Engine
from podcast_assets.speech.aligners.alignment import Aligner, split_words, words_without_times
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Word

_FRAME = 0.01  # seconds
_SEARCH = {"beam": 1e-300, "pbeam": 1e-300, "wbeam": 1e-300, "bestpath": False}
"""Beams so wide that hardly any path is pruned: with the usual beams a third of the sample batch's turns fail if one word of ten
is wrong, with these none. The lattice (`bestpath`) of so many paths would lose the last word."""
_SHORTEST = 0.05  # seconds; shorter audio cannot contain a word
_MISSING = "pocketsphinx is not installed here: pip install 'podcast-assets[pocketsphinx]'"
_VARIANT = re.compile(r"\(\d+\)$")  # the dictionary's mark of a second pronunciation: "read(2)"
_FILLER = re.compile(r"<.*>|\[.*\]")  # <s>, </s>, <sil>, [NOISE], [SPEECH]
_SPEECH = "[SPEECH]"
"""The model's word for unknown speech."""

_TABLE = """
tion SH AH N; ough AO; augh AO; sch SH; igh AY; ch CH; sh SH; th TH; ph F; gh G; ck K; qu K W; ng NG; wh W; kn N; wr R; ee IY;
ea IY; oo UW; ou AW; ow OW; oi OY; oy OY; ai EY; ay EY; au AO; aw AO; ie IY; ei EY; ey IY; ue UW; er ER; ir ER; ur ER; ar AA R;
or AO R; a AE; b B; c K; d D; e EH; f F; g G; h HH; i IH; j JH; k K; l L; m M; n N; o AA; p P; q K; r R; s S; t T; u AH; v V; w W;
x K S; y IY; z Z
"""
"""Letters → how English mostly says them, in the dictionary's phones; longer groups go first. Rough, but an aligner needs no more:
with every word of the sample batch guessed so, half start within 0.012 s of the truth and nine of ten within 0.053 s."""
_SOUNDS = {group: phones for group, _, phones in (e.partition(" ") for e in " ".join(_TABLE.split()).split("; "))}
_GROUP = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))


class PocketsphinxAligner(Engine):
    """Settings of PocketSphinx's aligner with the US English model of its package."""

    name: ClassVar[str] = "pocketsphinx-align"
    packages: ClassVar[tuple[str, ...]] = ("pocketsphinx",)
    extra: ClassVar[str | None] = "pocketsphinx"

    def load(self, device: str | None = None) -> Aligner:
        """Load the aligner's model.

        Raises:
            EngineUnavailable: the package is not installed.
        """
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise EngineUnavailable(_MISSING) from error
        return _PocketsphinxAlignerWorker(Decoder(samprate=SAMPLE_RATE, lm=None, loglevel="FATAL", **_SEARCH))

    def model_files(self) -> list[Path]:
        """Return the acoustic model and dictionary of the installed package without importing it.

        Raises:
            EngineUnavailable: the package is not installed.
        """
        spec = find_spec("pocketsphinx")
        if spec is None or spec.origin is None:
            raise EngineUnavailable(_MISSING)
        model = Path(spec.origin).parent / "model" / "en-us"
        return [*sorted(f for f in (model / "en-us").iterdir() if f.is_file()), model / "cmudict-en-us.dict"]


class _PocketsphinxAlignerWorker:
    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def align(self, audio: Samples, text: str, language: str | None) -> list[Word]:
        """Implement `Aligner.align`. Probabilities are None, because the aligner gives none.

        Words with digits, or with letters other than a to z and their accents, have no times; nor has any word if the text does not
        fit into the audio.

        Raises:
            ValueError: the language is not English.
        """
        if language not in (None, "en"):
            raise ValueError(f"pocketsphinx aligns English only; the language is {language}")
        words = split_words(text)
        spoken = [self._add_to_dictionary(spoken_parts(word)) for word in words]
        known = [[part for part in parts if part != _SPEECH] for parts in spoken]
        if not any(known) or len(audio) < _SHORTEST * SAMPLE_RATE:
            return words_without_times(words)
        aligned = self._align_parts(audio, list(chain.from_iterable(spoken)))
        if [word for word, _, _ in aligned] != list(chain.from_iterable(known)):
            return words_without_times(words)
        times = iter(aligned)
        placed = []
        for word, parts in zip(words, known, strict=True):
            own = [next(times) for _ in parts]
            placed.append(Word(word, own[0][1], own[-1][2], None) if own else Word(word, None, None, None))
        return placed

    def _add_to_dictionary(self, parts: Sequence[str]) -> list[str]:
        """Return the parts as spelled in the dictionary, adding missing ones to it."""
        found = []
        for part in parts:
            word = part if part == _SPEECH or self._decoder.lookup_word(part) else part.strip("'")
            if word != _SPEECH and self._decoder.lookup_word(word) is None:
                self._decoder.add_word(word, guess_sounds(word))
            found.append(word)
        return found

    def _align_parts(self, audio: Samples, spoken: Sequence[str]) -> list[tuple[str, float, float]]:
        """Align words: start and end in seconds, without pauses and noises; few or none if they do not fit."""
        decoder = self._decoder
        pcm = (np.clip(audio, -1.0, 1.0) * 32767).astype(np.int16)
        decoder.set_align_text(" ".join(spoken))
        decoder.reinit_feat()  # reset the noise estimate, so that times do not depend on earlier turns
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
        return [
            (
                _VARIANT.sub("", s.word),
                s.start_frame * _FRAME,
                min((s.end_frame + 1) * _FRAME, len(audio) / SAMPLE_RATE),
            )
            for s in decoder.seg() or ()
            if not _FILLER.fullmatch(s.word)
        ]


def spoken_parts(word: str) -> list[str]:
    """Split a written word into parts that a dictionary may know: "Well-known," → well, known; U.S. → u, s. Empty for punctuation.

    One part of unknown speech for words with digits or letters of other scripts.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if unicodedata.category(c)[0] != "M")
    plain = plain.lower().replace("\u2019", "'")
    if any(unicodedata.category(c)[0] in "LN" and not "a" <= c <= "z" for c in plain):
        return [_SPEECH]
    return [part for part in re.findall("[a-z']+", plain) if part.strip("'")]


def guess_sounds(word: str) -> str:
    """Guess the phones of an English word or name from its letters: "podcaster" → P AA D K AE S T ER."""
    once = re.sub(r"([^aeiou'])\1", r"\1", word.replace("'", ""))
    silent = re.sub(r"(?<=...)e$", "", once)
    return " ".join(_SOUNDS[group] for group in _GROUP.findall(silent))
