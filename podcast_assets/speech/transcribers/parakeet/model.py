"""A loaded Parakeet TDT: onnx-asr's features and encoder, tokens decoded for the whole batch at once."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx_asr.models.nemo import NemoConformerTdt
from onnx_asr.utils import pad_list

from podcast_assets.speech.transcribers.minibatches import Batcher, WindowInput
from podcast_assets.speech.transcribers.parakeet.tdt import Emission, Floats, Ints, States, greedy_decode
from podcast_assets.speech.transcribers.tokens import Token, mean_logprob, to_words
from podcast_assets.speech.transcribers.window_results import WindowResult
from podcast_assets.speech.types import EpisodeSpeech, Samples, TranscriptionResult

if TYPE_CHECKING:
    from podcast_assets.speech.transcribers.parakeet.engine import Parakeet


class ParakeetModel(NemoConformerTdt):
    """onnx-asr's model with a batched decoder: the library decodes one window after the other and drops the durations.

    It relies on the library's internals, which may change; a test compares it with the library's own results.
    """

    @property
    def providers(self) -> Sequence[str]:
        """Execution providers of the encoder in ONNX Runtime, the preferred one first."""
        return self._encoder.get_providers()

    def recognize(self, windows: Sequence[Samples]) -> list[list[Token]]:
        """Return the tokens of some windows, with times and log probabilities. A token lasts at least one frame of the encoder."""
        encoded, lengths = self._encode(*self._preprocessor(*pad_list(list(windows))))
        emitted = greedy_decode(
            self._decoder_step,
            encoded,
            lengths,
            self._initial_states(len(windows)),
            tokens=self._vocab_size,
            blank=self._blank_idx,
            most_per_frame=self._max_tokens_per_step,
        )
        return [[self._to_token(e) for e in window] for window in emitted]

    def _initial_states(self, windows: int) -> States:
        return [np.repeat(state, windows, axis=1) for state in self._create_state()]

    def _decoder_step(self, frames: Floats, tokens: Ints, states: States) -> tuple[Floats, States]:
        found: Any = self._decoder_joint.run(
            ["outputs", "output_states_1", "output_states_2"],
            {
                "encoder_outputs": frames[:, :, None],
                "targets": tokens[:, None].astype(np.int32),
                "target_length": np.ones(len(tokens), np.int32),
                "input_states_1": states[0],
                "input_states_2": states[1],
            },
        )
        logits, *after = found
        return logits[:, 0, 0], after

    def _to_token(self, emission: Emission) -> Token:
        frame = self.window_step * self._subsampling_factor
        end = emission.frame + max(emission.duration, 1)
        return Token(self._vocab[emission.token], emission.frame * frame, end * frame, emission.logprob)


class ParakeetTranscriber:
    """Transcriber with a loaded model. Not thread-safe."""

    def __init__(self, engine: "Parakeet", model: ParakeetModel, batch_size: int) -> None:
        self._model = model
        self.batcher = Batcher(engine.name, engine.plan, self._recognize_batch, batch_size)

    def transcribe(self, work: Iterable[EpisodeSpeech]) -> Iterator[TranscriptionResult]:
        """Implement `Transcriber.transcribe`. The language is the given one: the model does not report a language."""
        return self.batcher.transcribe(work)

    def _recognize_batch(self, key: Hashable, inputs: Sequence[WindowInput]) -> list[WindowResult]:
        decoded = self._model.recognize([s.content for s in inputs])
        return [WindowResult(to_words(tokens), mean_logprob(tokens)) for tokens in decoded]
