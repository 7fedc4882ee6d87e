"""Whisper by faster-whisper (CTranslate2): CPU or NVIDIA GPU, word times, no torch.

Every turn, or piece of a long one, is a clip of `BatchedInferencePipeline`: on the sample batch it gives the words and
times of `WhisperModel.transcribe`, called clip by clip, and can decode several at once. There is no second try at a
higher temperature; loops are left for compression_ratio to show.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from podcast_assets.engines import Engine, EngineUnavailable, runtime
from podcast_assets.errors import BadInput
from podcast_assets.speech.text_measures import compression_ratio
from podcast_assets.speech.types import SAMPLE_RATE, Samples, Transcript, Turn, Word

if TYPE_CHECKING:
    from faster_whisper import BatchedInferencePipeline
    from faster_whisper.transcribe import Segment

WINDOW_SECONDS = 30.0
"""Whisper's window: nothing after it would be heard."""
NO_SPEECH_PROB, NO_SPEECH_LOGPROB = 0.6, -1.0
"""A clip is silent if no_speech_prob is above the first and avg_logprob below the second (Radford et al. 2022, sec. 4.5)."""
SHORTEST_SECONDS = 0.05
"""Less than this is not looked at: no word is that short."""
CLIPS_PER_CALL = 64
"""Features are made for all clips of a call at once, about 1 MB a clip. Fixed, so that results do not depend on it."""
LANGUAGE_WINDOWS = 3
"""Windows looked at for the language before the majority decides."""
CERTAIN_LANGUAGE = 0.5
"""A window whose best language has more than this decides alone (faster-whisper's default)."""
HUB_TIMEOUT_SECONDS = 2.0
_REQUIRED_FILES = ("model.bin", "tokenizer.json")
"""Without tokenizer.json faster-whisper takes that of another model from the hub."""
_MODEL_FILES = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.*")
"""What faster-whisper reads, or downloads, of a model."""


class FasterWhisper(Engine):
    """Settings of Whisper models in CTranslate2's format."""

    name: ClassVar[str] = "faster-whisper"
    packages: ClassVar[tuple[str, ...]] = ("faster-whisper", "ctranslate2")

    model: str = "small"
    """A folder, a size ("small", "large-v3-turbo"), or a model of the Hugging Face hub ("owner/name")."""
    beam_size: int = Field(default=5, ge=1)
    chunk_seconds: float = Field(default=WINDOW_SECONDS, gt=1.0, le=WINDOW_SECONDS)
    """Longest clip given to the model; longer turns are cut at pauses."""
    timestamps: bool = False
    """Decode with timestamp tokens. Models of the usual sizes need none: word times come from the cross attention."""
    compute_type: str = "auto"
    """CTranslate2's number format. `auto` is float16 on GPUs and int8 on CPUs."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    device_index: int | None = runtime(None, ge=0)
    """One GPU of several; None takes whichever is free."""
    batch_size: int = runtime(8, ge=1)
    """Clips decoded together."""
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to CTranslate2."""

    def load(self, device: str | None = None) -> "FasterWhisperTranscriber":
        """Load the model; one of the hub is downloaded if it is not cached.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: faster-whisper is not installed, or the model is missing or does not load.
        """
        try:
            import faster_whisper
        except ImportError as error:
            raise EngineUnavailable(
                f"faster-whisper cannot be imported ({error}): pip install faster-whisper"
            ) from error
        if _is_folder(self.model):
            complaint = _missing_files(Path(self.model))
            if complaint:
                raise EngineUnavailable(complaint)
        try:
            model = faster_whisper.WhisperModel(
                str(Path(self.model).expanduser()) if _is_folder(self.model) else self.model,
                device=self._device(),
                device_index=int(device.removeprefix("cuda:")) if device else self.device_index or 0,
                compute_type=self._compute_type(),
                cpu_threads=self.threads,
            )
        except Exception as error:  # hub, network, CUDA and model errors have no common base
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EngineUnavailable(f"the Whisper model {self.model!r} cannot be loaded: {reason}") from error
        return FasterWhisperTranscriber(self, faster_whisper.BatchedInferencePipeline(model))

    def fetch(self) -> None:
        """Download a model of the hub that is not cached.

        Raises:
            EngineUnavailable: the package is missing, or the hub does not give the model.
        """
        if _is_folder(self.model) or _cached(self.model):
            return
        try:
            from faster_whisper.utils import download_model

            download_model(self.model)
        except Exception as error:  # package, hub and network errors have no common base
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise EngineUnavailable(f"the Whisper model {self.model!r} cannot be had from the hub: {reason}") from error

    def devices(self) -> list[str]:
        """The GPUs, where it computes on one: that of `device_index`, or any."""
        if self._device() != "cuda":
            return []
        if self.device_index is not None:
            return [f"cuda:{self.device_index}"]
        import ctranslate2

        return [f"cuda:{i}" for i in range(ctranslate2.get_cuda_device_count())]

    def model_files(self) -> list[Path]:
        """The files of the folder or of the cached download; none before a model of the hub was downloaded."""
        folder = Path(self.model).expanduser() if _is_folder(self.model) else _cached(self.model)
        return sorted(f for pattern in _MODEL_FILES for f in folder.glob(pattern)) if folder else []

    def identity(self) -> dict[str, Any]:
        """As for every engine, with `compute_type` as it is used here."""
        identity = super().identity()
        identity["settings"]["compute_type"] = self._compute_type()
        return identity

    def _device(self) -> str:
        if self.device != "auto":
            return self.device
        try:
            import ctranslate2
        except ImportError:
            return "cpu"
        return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"

    def _compute_type(self) -> str:
        if self.compute_type != "auto":
            return self.compute_type
        return "float16" if self._device() == "cuda" else "int8"


def model_at_hand(model: str) -> tuple[bool, str]:
    """Whether a model can be loaded here, and why (or why not), for people. Downloads nothing; may ask the hub.

    Args:
        model: as the setting `model` of `FasterWhisper`.
    """
    if _is_folder(model):
        complaint = _missing_files(Path(model))
        return (False, complaint) if complaint else (True, f"the folder {model} holds a Whisper model")
    try:
        import huggingface_hub
        from faster_whisper.utils import _MODELS
    except ImportError as error:
        return False, f"faster-whisper cannot be imported ({error})"
    if "/" not in model and model not in _MODELS:
        return False, f"{model!r} is neither a folder, a model of the hub (owner/name), nor one of {', '.join(_MODELS)}"
    if _cached(model):
        return True, f"the Whisper model {model!r} is in the local Hugging Face cache"
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return False, f"the Whisper model {model!r} is not in the local cache, and HF_HUB_OFFLINE is set"
    url = huggingface_hub.hf_hub_url(_MODELS.get(model, model), "model.bin")
    try:
        huggingface_hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT_SECONDS)
    except Exception as error:  # whatever stands between here and the hub
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return False, f"the Whisper model {model!r} is not in the local cache, and the hub does not give it: {reason}"
    return True, f"the Whisper model {model!r} can be downloaded from the hub"


def _is_folder(model: str) -> bool:
    """A folder, there or not, rather than a size or a name on the hub ("owner/name")."""
    return model.startswith((".", "~", os.sep)) or Path(model).is_dir()


def _missing_files(folder: Path) -> str:
    """What a model's folder lacks, in words; empty if nothing."""
    folder = folder.expanduser()
    if not folder.is_dir():
        return f"there is no folder {folder} to load a Whisper model from"
    missing = [name for name in _REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        return f"{folder} is not a Whisper model in CTranslate2's format: it has no {' and no '.join(missing)}"
    return ""


def _cached(model: str) -> Path | None:
    """Folder of a downloaded model of the hub; None if it is not there, or not whole."""
    try:
        from faster_whisper.utils import download_model

        folder = Path(download_model(model, local_files_only=True))
    except Exception:  # not installed, not cached, no such size: all mean that there is none
        return None
    return None if _missing_files(folder) else folder


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of audio that the model hears at once. Samples from the start of the episode."""

    turn: int
    """Index of the turn that it belongs to."""
    start: int
    end: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start) / SAMPLE_RATE


class FasterWhisperTranscriber:
    """A loaded model. Not for several threads at once."""

    def __init__(self, engine: FasterWhisper, pipeline: "BatchedInferencePipeline") -> None:
        self._engine = engine
        self._pipeline = pipeline

    def transcribe(self, audio: Samples, turns: Sequence[Turn], *, language: str | None = None) -> list[Transcript]:
        """One transcript per turn, in the same order; see `Transcriber`.

        The language, if not given, is identified once, on the speech of the first turns.

        Raises:
            BadInput: the model does not know the language.
        """
        clips = list(cut_turns(audio, turns, self._engine.chunk_seconds))
        if not clips:
            return [Transcript("", language=language) for _ in turns]
        probability = None
        if language is None:
            language, probability = self._identify(audio, clips)
        elif language not in self._pipeline.model.supported_languages:
            raise BadInput(f"the Whisper model {self._engine.model!r} does not know the language {language!r}")

        heard: list[list[tuple[Clip, list[Segment]]]] = [[] for _ in turns]
        for i in range(0, len(clips), CLIPS_PER_CALL):
            some = clips[i : i + CLIPS_PER_CALL]
            for clip, segments in zip(some, self._hear(audio, some, language), strict=True):
                heard[clip.turn].append((clip, segments))
        return [
            _merge(turn, parts, language, probability) if parts else Transcript("", (), language, probability)
            for turn, parts in zip(turns, heard, strict=True)
        ]

    def _identify(self, audio: Samples, clips: Sequence[Clip]) -> tuple[str, float | None]:
        """The language of an episode and its probability; a model of one language has no probability to give."""
        model = self._pipeline.model
        if not model.model.is_multilingual:
            return "en", None
        wanted = int(LANGUAGE_WINDOWS * WINDOW_SECONDS * SAMPLE_RATE)
        speech: list[Samples] = []
        for clip in clips:
            speech.append(audio[clip.start : clip.end])
            wanted -= clip.end - clip.start
            if wanted <= 0:
                break
        language, probability, _ = model.detect_language(
            np.concatenate(speech),
            language_detection_segments=LANGUAGE_WINDOWS,
            language_detection_threshold=CERTAIN_LANGUAGE,
        )
        return language, probability

    def _hear(self, audio: Samples, clips: Sequence[Clip], language: str) -> "list[list[Segment]]":
        """Decode clips; gives the segments of each, with times from the start of its clip.

        The clips are laid end to end for faster-whisper, so that each has a place of its own even where turns overlap.
        """
        laid = np.concatenate([audio[c.start : c.end] for c in clips])
        ends = np.cumsum([c.end - c.start for c in clips]).tolist()
        starts = [0, *ends[:-1]]
        segments, _ = self._pipeline.transcribe(
            laid,
            language=language,
            beam_size=self._engine.beam_size,
            batch_size=self._engine.batch_size,
            word_timestamps=True,
            without_timestamps=not self._engine.timestamps,
            # half a sample more, as faster-whisper rounds down what it gets in seconds
            clip_timestamps=[
                {"start": (s + 0.5) / SAMPLE_RATE, "end": (e + 0.5) / SAMPLE_RATE}
                for s, e in zip(starts, ends, strict=True)
            ],
        )
        # faster-whisper names a segment's clip by its start in frames of 10 ms, rounded down
        index = {int(s / SAMPLE_RATE * 100): i for i, s in enumerate(starts)}
        heard: list[list[Segment]] = [[] for _ in clips]
        for segment in segments:
            offset = segment.seek / 100
            for word in segment.words or ():
                word.start, word.end = float(word.start) - offset, float(word.end) - offset
            heard[index[segment.seek]].append(segment)
        return heard


def _merge(
    turn: Turn, parts: "Sequence[tuple[Clip, Sequence[Segment]]]", language: str, probability: float | None
) -> Transcript:
    """The transcript of a turn from those of its clips. Clips that the model takes for silent give no text."""
    text, words = [], []
    for clip, segments in parts:
        at = clip.start / SAMPLE_RATE
        for s in segments:
            if s.no_speech_prob > NO_SPEECH_PROB and s.avg_logprob < NO_SPEECH_LOGPROB:
                continue
            text.append(s.text.strip())
            words += [
                (w.word.strip(), at + w.start, at + w.end, w.probability) for w in s.words or () if w.word.strip()
            ]
    joined = " ".join(filter(None, text))
    heard = [(clip, s) for clip, segments in parts for s in segments]
    return Transcript(
        text=joined,
        words=list(_in_order(turn, words)),
        language=language,
        language_probability=probability,
        avg_logprob=_mean([s.avg_logprob for _, s in heard], [len(s.tokens) for _, s in heard]),
        no_speech_prob=_mean([s.no_speech_prob for _, s in heard], [c.seconds for c, _ in heard]),
        compression_ratio=compression_ratio(joined),
    )


def _in_order(turn: Turn, words: Sequence[tuple[str, float, float, float]]) -> Iterator[Word]:
    """Words inside their turn, none before the end of the one before: alignment can be a few frames off."""
    before = turn.start
    for word, start, end, probability in words:
        begin = min(max(start, before), turn.end)
        before = min(max(end, begin), turn.end)
        yield Word(word, round(begin, 3), round(before, 3), float(probability))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    return float(np.average(values, weights=weights)) if sum(weights) > 0 else None


def cut_turns(audio: Samples, turns: Sequence[Turn], chunk_seconds: float) -> Iterator[Clip]:
    """Clips of at most `chunk_seconds` that cover the turns. Turns outside the audio or without length have none."""
    longest = int(chunk_seconds * SAMPLE_RATE)
    shortest = int(SHORTEST_SECONDS * SAMPLE_RATE)
    for i, turn in enumerate(turns):
        start = max(0, round(turn.start * SAMPLE_RATE))
        end = min(len(audio), round(turn.end * SAMPLE_RATE))
        while end - start > longest:
            cut = start + quietest(audio[start:end], longest)
            yield Clip(i, start, cut)
            start = cut
        if end - start >= shortest:
            yield Clip(i, start, end)


def quietest(audio: Samples, longest: int) -> int:
    """Where to cut a stretch that is longer than `longest` samples: the middle of the quietest fifth of a second.

    It is looked for between half of `longest` and `longest`, and not so near to the end that a scrap would be left.
    """
    frame, wide = SAMPLE_RATE // 100, 20
    last = min(longest, max(longest // 2 + wide * frame, len(audio) - SAMPLE_RATE))
    near = audio[longest // 2 : last]
    frames = near[: len(near) // frame * frame].reshape(-1, frame)
    energy = np.einsum("ij,ij->i", frames, frames)
    if len(energy) < wide:
        return last
    around = np.convolve(energy, np.ones(wide, np.float32), "valid")
    return longest // 2 + (int(around.argmin()) + wide // 2) * frame
