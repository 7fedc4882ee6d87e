"""Transcriber with a loaded Whisper model.

It batches windows of many episodes, gives word times, identifies unknown languages, and puts hints from the metadata into the
prompts.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import WhisperModel, get_suppressed_tokens

from podcast_assets.common.errors import BadInput
from podcast_assets.speech.transcribers.context import widen_turns
from podcast_assets.speech.transcribers.faster_whisper.decoding import Search, decode, detect_languages
from podcast_assets.speech.transcribers.faster_whisper.encoding import Features, encode
from podcast_assets.speech.transcribers.minibatches import Batcher, WindowInput
from podcast_assets.speech.transcribers.window_results import PlannedWindow, WindowResult
from podcast_assets.speech.transcribers.windows import Window, cut_turns, pack_windows
from podcast_assets.speech.types import SAMPLE_RATE, Attempt, Audio, EpisodeSpeech, Samples, TranscriptionResult

if TYPE_CHECKING:
    from podcast_assets.speech.transcribers.faster_whisper.engine import FasterWhisper

LANGUAGE_SECONDS = 90.0
"""Speech used to identify the language of an episode."""
CERTAIN_LANGUAGE = 0.5
"""Probability above which a window's own language is used (faster-whisper's default); other windows follow their episode."""


class WhisperTranscriber:
    """Transcriber with a loaded model. Not thread-safe."""

    def __init__(self, engine: "FasterWhisper", model: WhisperModel, batch_size: int) -> None:
        self._engine = engine
        self._model = model
        others: tuple[Attempt, ...] = ("pauses",) if engine.timestamps else ("timestamps", "pauses")
        self.attempts: tuple[Attempt, ...] = ("alone", *others) if engine.pack else others
        """What may help where a turn is not transcribed well."""
        self._tokenizers: dict[str, Tokenizer] = {}
        self.batcher = Batcher(
            engine.name,
            self._plan_windows,
            self._recognize_batch,
            batch_size,
            self._compute_features,
            at_once=model.model.num_workers,
        )

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. An unknown language is identified from the first turns.

        An episode in a language that the model does not support is refused with `BadInput`.
        """
        return self.batcher.transcribe(work)

    def transcribe_groups(self, work: Iterable[EpisodeSpeech]) -> Iterator[list[TranscriptionResult]]:
        """Transcribe as `transcribe` does, yielding together those that are done at the same time."""
        return self.batcher.transcribe_groups(work)

    def identify_speech(self, speech: EpisodeSpeech) -> tuple[str | None, float | None]:
        """Identify the language of an episode and its probability.

        Raises:
            BadInput: the model knows English only, and cannot tell it from other languages.
        """
        pieces = cut_turns(speech.audio, speech.turns, self._engine.chunk_seconds)
        return self._identify_language(speech.audio, [Window((piece,)) for piece in pieces])

    def _identify_language(self, audio: Audio, windows: Sequence[Window]) -> tuple[str | None, float | None]:
        if not windows:
            return None, None
        if not self._model.model.is_multilingual:
            raise BadInput(
                f"the Whisper model {self._engine.model!r} knows English only and cannot identify a language: declare the "
                "episode's (column language of the metadata, --language, PODCAST_LANGUAGE), or use a multilingual model"
            )
        chosen: list[Window] = []
        seconds = 0.0
        # short windows are unreliable: use the longest of the first few minutes
        for window in sorted(windows[:20], key=len, reverse=True):
            chosen.append(window)
            seconds += len(window) / SAMPLE_RATE
            if seconds >= LANGUAGE_SECONDS:
                break
        return most_probable_language(self._window_languages(audio, chosen))

    def _window_languages(self, audio: Audio, windows: Sequence[Window]) -> list[tuple[str, float]]:
        """Return the likeliest language of each window and its probability."""
        size = self.batcher.batch_size
        found: list[tuple[str, float]] = []
        for at in range(0, len(windows), size):
            some = np.stack([self._compute_features(w.samples(audio)) for w in windows[at : at + size]])
            found += [next(iter(f.items())) for f in detect_languages(self._model, encode(self._model, some))]
        return found

    def _plan_windows(self, speech: EpisodeSpeech) -> list[PlannedWindow]:
        engine = self._engine
        heard = widen_turns(speech.turns, speech.around)
        pieces = list(cut_turns(speech.audio, speech.turns, engine.chunk_seconds, heard))
        if not pieces:
            return []
        if speech.language is None and engine.mixed_languages and self._model.model.is_multilingual:
            # not packed: the next turn may be in another language
            windows = [Window((p,)) for p in pieces]
            found = self._window_languages(speech.audio, windows)
            common = most_probable_language(found)
            chosen = [own if own[1] > CERTAIN_LANGUAGE else common for own in found]
        else:
            windows = (
                pack_windows(pieces, speech.turns, engine.chunk_seconds)
                if engine.pack
                else [Window((p,)) for p in pieces]
            )
            if speech.language is None:
                common = self._identify_language(speech.audio, windows)
            elif speech.language in self._model.supported_languages:
                common = (speech.language, None)
            else:
                raise BadInput(f"the Whisper model {engine.model!r} does not support the language {speech.language!r}")
            chosen = [common] * len(windows)
        timestamps = self._decodes_timestamps(speech.timestamps)
        prompts = {
            language: len(self._build_prompt(language, speech.hints, timestamps=timestamps))
            for language in {c[0] for c in chosen}
        }
        return [
            PlannedWindow(window, (language, prompts[language], timestamps), language, probability)
            for window, (language, probability) in zip(windows, chosen, strict=True)
        ]

    def _compute_features(self, samples: Samples) -> Features:
        """Compute the log-mel spectrogram, shape (mels, 3000)."""
        return pad_or_trim(self._model.feature_extractor(samples)[..., :-1])

    def _recognize_batch(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        language = inputs[0].language or "en"
        timestamps = self._decodes_timestamps(inputs[0].timestamps)
        tokenizer = self._tokenizer(language)
        decoded = decode(
            self._model,
            np.stack([s.content for s in inputs]),
            [self._build_prompt(language, s.hints, timestamps=timestamps) for s in inputs],
            tokenizer,
            Search(
                self._engine.beam_size,
                self._engine.best_of,
                self._engine.temperatures,
                get_suppressed_tokens(tokenizer, (-1,)) or (),
            ),
            [s.seconds for s in inputs],
        )
        return [
            WindowResult(
                # silent windows have no words
                words=[] if d.silent else words,
                avg_logprob=d.avg_logprob,
                no_speech_prob=d.no_speech_prob,
                temperature=d.temperature,
                language_probability=d.languages.get(language),
                detected_language=next(iter(d.languages.items()), None),
            )
            for d, words in decoded
        ]

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            model = self._model
            self._tokenizers[language] = Tokenizer(
                model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def _decodes_timestamps(self, wanted: bool | None) -> bool:
        return self._engine.timestamps if wanted is None else wanted

    def _build_prompt(self, language: str | None, hints: str | None, *, timestamps: bool) -> list[int]:
        tokenizer = self._tokenizer(language or "en")
        before = self._engine.initial_prompt
        return self._model.get_prompt(
            tokenizer,
            tokenizer.encode(f" {before.strip()}") if before else [],
            without_timestamps=not timestamps,
            hotwords=hints,
        )


def most_probable_language(found: Sequence[tuple[str, float]]) -> tuple[str, float]:
    """Return the language with the most probability over some windows, and its mean probability where it is the likeliest."""
    total: Counter[str] = Counter()
    for language, probability in found:
        total[language] += probability  # type: ignore[assignment]  # counters add floats as well
    best = max(total, key=lambda language: total[language])
    own = [probability for language, probability in found if language == best]
    return best, sum(own) / len(own)
