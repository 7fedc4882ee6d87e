"""Whisper by faster-whisper (CTranslate2): CPU or NVIDIA GPU, word times, no torch."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.engines import gpus, models, packaged_models
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.engines.packaged_models import PackagedModel
from podcast_assets.speech.transcribers.faster_whisper import compute

if TYPE_CHECKING:
    from podcast_assets.speech.transcribers.faster_whisper.model import WhisperTranscriber

WINDOW_SECONDS = 30.0
"""Whisper's window: anything after it would be ignored."""
_KNOWN_MODELS = {
    "tiny": ("Systran/faster-whisper-tiny", 75),
    "tiny.en": ("Systran/faster-whisper-tiny.en", 75),
    "base": ("Systran/faster-whisper-base", 145),
    "small": ("Systran/faster-whisper-small", 484),
    "medium": ("Systran/faster-whisper-medium", 1_530),
    "large-v2": ("Systran/faster-whisper-large-v2", 3_090),
    "large-v3": ("Systran/faster-whisper-large-v3", 3_090),
    "large-v3-turbo": ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1_620),
    "turbo": ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1_620),
    "distil-large-v3": ("Systran/faster-distil-whisper-large-v3", 1_510),
    "distil-large-v3.5": ("distil-whisper/distil-large-v3.5-ct2", 1_510),
}
"""Short name → repository and approximate download size in megabytes, copied from faster-whisper, whose import takes a while."""
_REQUIRED_FILES = ("model.bin", "tokenizer.json")
"""Files that must exist: without tokenizer.json, faster-whisper downloads that of another model."""
_MODEL_FILES = ("config.json", "model.bin", "preprocessor_config.*", "tokenizer.json", "vocabulary.*")
"""Files of a model that faster-whisper reads or downloads."""


class FasterWhisper(Engine):
    """Settings of Whisper models in CTranslate2's format."""

    name: ClassVar[str] = "faster-whisper"
    packages: ClassVar[tuple[str, ...]] = ("faster-whisper", "ctranslate2")

    model: str = "small"
    """A folder, a short name ("small", "large-v3-turbo"), or a model of the Hugging Face hub ("owner/name")."""
    beam_size: int = Field(default=5, ge=1)
    chunk_seconds: float = Field(default=WINDOW_SECONDS, gt=1.0, le=WINDOW_SECONDS)
    """Longest clip given to the model; longer turns are cut at pauses."""
    pack: bool = True
    """Pack turns of one speaker into windows of up to `chunk_seconds`: a window costs the same however short its speech is."""
    mixed_languages: bool = False
    """Identify the language of each turn rather than of the episode, if none is given."""
    timestamps: bool = False
    """Decode with timestamp tokens. Models of the usual sizes need none: word times come from the cross attention."""
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """Tried in turn while a text is repetitive or unlikely; give only the first to favour speed. Above 0, samples are drawn: such a
    text, marked by its `temperature`, may differ when it is decoded again."""
    best_of: int = Field(default=5, ge=1)
    """Samples drawn above temperature 0, of which the likeliest is used."""
    initial_prompt: str | None = None
    """Prompt before every window, to set a style of writing; hints of an episode are added to it."""
    compute_type: str = "auto"
    """CTranslate2's number format. `auto` is int8 on CPUs and, on GPUs, float16 if twice the model fits, else int8_float16."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    device_index: int | None = runtime(None, ge=0)
    """Index of the GPU; None uses any free one."""
    batch_size: int | None = runtime(None, ge=1)
    """Windows decoded together, also of several episodes; None is 4 on a CPU and depends on the memory of a GPU. Halved when
    memory runs out."""
    threads: int = runtime(0, ge=0)
    """CPU threads, half of them for each of two minibatches at once; 0 is one per core (OMP_NUM_THREADS if set), 8 at most."""

    def load(self, device: str | None = None) -> "WhisperTranscriber":
        """Load the model, from a folder, an installed package, or the Hub, from which it is downloaded if necessary.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: faster-whisper is not installed, or the model is missing or does not load.
        """
        with _translate_import_error():
            import faster_whisper

            from podcast_assets.speech.transcribers.faster_whisper.model import WhisperTranscriber
        device_name = self._device_name()
        if device_name == "cuda":
            gpus.load_cublas()
        folder = self._ready_folder()
        if reason := _missing_files(folder):
            raise EngineUnavailable(reason)
        workers, threads = compute.cpu_workers(self.threads) if device_name == "cpu" else (1, self.threads)
        try:
            model = faster_whisper.WhisperModel(
                str(folder),
                device=device_name,
                device_index=int(device.removeprefix("cuda:")) if device else self.device_index or 0,
                compute_type=self._compute_type(),
                cpu_threads=threads,
                num_workers=workers,
            )
        except Exception as error:  # CUDA and model errors have no common base
            reason = first_line(error)
            raise EngineUnavailable(f"the Whisper model {self.model!r} cannot be loaded: {reason}") from error
        batch_size = self.batch_size or compute.batch_size(device_name, self._gpu_memory(), self._weight_bytes())
        return WhisperTranscriber(self, model, batch_size)

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, if a short name or Hub name is set and no installed package contains the model.

        Raises:
            EngineUnavailable: the model is not a folder, short name or Hub name; or faster-whisper is not installed.
        """
        if is_folder(self.model) or self.packaged_models():
            return []
        _, megabytes = _KNOWN_MODELS.get(self.model.removesuffix(".en"), ("", 0))
        repo = _repo_of(self.model)
        if (packaged := packaged_models.known_model(repo)) is None:
            return [HubModel(repo, _MODEL_FILES, megabytes, "mit")]
        checksums = tuple((f.name, f.sha256) for f in packaged.files)
        return [HubModel(repo, _MODEL_FILES, megabytes, "mit", checksums=checksums, extra=packaged_models.EXTRA)]

    def packaged_models(self) -> list[PackagedModel]:
        """Return the model, if a short name or Hub name is set and installed packages contain it.

        Raises:
            EngineUnavailable: as `hub_models` does.
        """
        if is_folder(self.model):
            return []
        model = packaged_models.installed_model(_repo_of(self.model))
        return [model] if model else []

    def unavailable_reason(self) -> str | None:
        """Return which files the model's folder or package lacks."""
        if is_folder(self.model):
            return _missing_files(Path(self.model)) or None
        return next(filter(None, map(packaged_models.problem, self.packaged_models())), None)

    def fetch(self) -> None:
        """Download a Hub model that is not on this machine; check one of an installed package, and join its parts.

        Raises:
            EngineUnavailable: the model cannot be downloaded, or its package is damaged.
        """
        if not is_folder(self.model):
            self._ready_folder()

    def devices(self) -> list[str]:
        """Return the GPUs that may be used: that of `device_index`, or any."""
        if self._device_name() != "cuda":
            return []
        if self.device_index is not None:
            return [f"cuda:{self.device_index}"]
        import ctranslate2

        return [f"cuda:{i}" for i in range(ctranslate2.get_cuda_device_count())]

    def model_files(self) -> list[Path]:
        """Return the files of the folder; empty until a Hub model is downloaded."""
        folder = self._find_folder()
        return sorted(f for pattern in _MODEL_FILES for f in folder.glob(pattern)) if folder else []

    def identity(self) -> dict[str, Any]:
        """Return the identity of an engine, with `compute_type` as resolved for this machine.

        Number formats give different texts. So with `auto`, a batch that moves from a CPU to a GPU has other fingerprints and is
        transcribed again, unless `compute_type` is set.
        """
        identity = super().identity()
        identity["settings"]["compute_type"] = self._compute_type()
        return identity

    def _device_name(self) -> str:
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
        device = self._device_name()
        try:
            import ctranslate2

            supported = ctranslate2.get_supported_compute_types(device)
        except (ImportError, ValueError, RuntimeError):
            supported = {"int8", "float16"}  # no such device here: assume what one would support
        return compute.compute_type(device, supported, self._gpu_memory(), self._weight_bytes())

    def _gpu_memory(self) -> int | None:
        """Return the memory of the GPU; of the first one if any may be used, since the GPUs of a machine are usually the same."""
        return gpus.gpu_memory(self.device_index or 0) if self._device_name() == "cuda" else None

    def _weight_bytes(self) -> int | None:
        """Return the bytes of the model in float16, as published."""
        return next((f.stat().st_size for f in self.model_files() if f.name == "model.bin"), None)

    def _ready_folder(self) -> Path:
        """Return the model's folder; a Hub model is downloaded first, and a packaged one checked and joined."""
        if is_folder(self.model):
            return Path(self.model).expanduser()
        for packaged in self.packaged_models():
            return packaged_models.prepare(packaged)
        return models.fetch_model(self.hub_models()[0])

    def _find_folder(self) -> Path | None:
        """Return the model's folder; None for a Hub model that is not on this machine or a packaged one that is not joined yet."""
        if is_folder(self.model):
            return Path(self.model).expanduser()
        try:
            for packaged in self.packaged_models():
                return packaged_models.find_folder(packaged)
            return models.find_model(self.hub_models()[0])
        except EngineUnavailable:
            return None


def _repo_of(model: str) -> str:
    """Return the repository of a short name or Hub name.

    Raises:
        EngineUnavailable: the name is unknown, or faster-whisper, which knows more names, is not installed.
    """
    if "/" in model:
        return model
    if model in _KNOWN_MODELS:
        return _KNOWN_MODELS[model][0]
    with _translate_import_error():
        from faster_whisper.utils import _MODELS as REPOS
    if model not in REPOS:
        raise EngineUnavailable(
            f"{model!r} is neither a folder, a model of the hub (owner/name), nor one of {', '.join(REPOS)}"
        )
    return REPOS[model]


@contextlib.contextmanager
def _translate_import_error() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise EngineUnavailable(f"faster-whisper cannot be imported ({error}): pip install faster-whisper") from error


def _missing_files(folder: Path) -> str:
    """Describe which files a model's folder lacks; empty if none."""
    folder = folder.expanduser()
    if not folder.is_dir():
        return f"there is no folder {folder} to load a Whisper model from"
    missing = [name for name in _REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        return f"{folder} is not a Whisper model in CTranslate2's format: it has no {' and no '.join(missing)}"
    return ""
