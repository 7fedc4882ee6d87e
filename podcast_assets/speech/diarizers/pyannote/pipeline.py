"""Safe import of pyannote.audio and its pipelines: without telemetry, and without running code that is not the library's.

A pipeline is a folder with `config.yaml`, which names a class and its arguments, and weights, which are pickles. Both could run
arbitrary code. So only the class for speaker diarization is accepted, and weights must pass `torch.load` with nothing allowed but
tensors and pyannote.audio's own classes, unless the setting `trusted` is on.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.engines.model_cache import HubModel, is_folder
from podcast_assets.engines.torchaudio_shim import import_torchaudio

COMMUNITY = HubModel(
    "pyannote/speaker-diarization-community-1",
    (
        "config.yaml",
        "segmentation/pytorch_model.bin",
        "embedding/pytorch_model.bin",
        "plda/plda.npz",
        "plda/xvec_transform.npz",
    ),
    megabytes=33,
    licence="cc-by-4.0",
    revision="3533c8cf8e369892e6b79ff1bf80f7b0286a54ee",
    gated=True,
)
"""The published pipeline of pyannote.audio 4. It is complete, while earlier ones refer to other models of the hub."""

_FILES = {
    "segmentation": ("pytorch_model.bin",),
    "embedding": ("pytorch_model.bin",),
    "plda": ("plda.npz", "xvec_transform.npz"),
}
"""Part of a pipeline → its files."""
_PIPELINES = (
    "pyannote.audio.pipelines.SpeakerDiarization",
    "pyannote.audio.pipelines.speaker_diarization.SpeakerDiarization",
)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_REFERENCED_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
"""Name of a class or function that a pickle refers to, in torch's message."""


def import_pyannote() -> ModuleType:
    """Import pyannote.audio without its telemetry and an irrelevant warning.

    Raises:
        EngineUnavailable: it is not installed or cannot be imported.
    """
    os.environ["PYANNOTE_METRICS_ENABLED"] = "0"  # on by default; read on import, and again for every episode
    try:
        import_torchaudio()
        with warnings.catch_warnings():
            # torchcodec only decodes files, and the audio is given decoded
            warnings.filterwarnings("ignore", message=r"\s*torchcodec is not installed correctly")
            import pyannote.audio
    except Exception as error:  # a package is missing, or versions are incompatible
        raise EngineUnavailable(
            f"pyannote.audio cannot be imported ({first_line(error)}): pip install 'podcast-assets[pyannote]'"
        ) from error
    return pyannote.audio


@dataclass(frozen=True, slots=True)
class PipelineSource:
    """Files of a pipeline on this machine."""

    folder: Path
    config: Mapping[str, Any]
    """Content of its `config.yaml`."""
    parts: Mapping[str, Path]
    """Name → folder with the part's files."""

    @property
    def files(self) -> list[Path]:
        """All files, whether they exist or not."""
        return [self.folder / "config.yaml", *(self.parts[part] / name for part in _FILES for name in _FILES[part])]

    @property
    def weights(self) -> list[Path]:
        """Files that are pickles."""
        return [file for file in self.files if file.suffix == ".bin"]


def find_pipeline(model: str, get: Callable[[HubModel], Path | None]) -> PipelineSource | None:
    """Find a pipeline and all the models that it names.

    Args:
        model: a folder, or a repository of the hub ("owner/name").
        get: returns the folder of a Hub model; None if it is not available.

    Returns:
        The pipeline; None if `get` returned None for one of the models.

    Raises:
        EngineUnavailable: it is not a pipeline for speaker diarization, or refers to parts that do not exist.
    """
    folder = Path(model).expanduser() if is_folder(model) else get(hub_model(model, ("config.yaml", "*.bin", "*.npz")))
    if folder is None:
        return None
    config = _read_config(folder)
    parts = {}
    for part, files in _FILES.items():
        reference = str(config["pipeline"].get("params", {}).get(part, COMMUNITY.repo)).partition("@")[0]
        if reference.startswith("$model/"):
            parts[part] = folder / reference.removeprefix("$model/")
            continue
        if not _REPOSITORY.fullmatch(reference):
            raise EngineUnavailable(
                f"{folder / 'config.yaml'} says {part}: {reference}, which is neither '$model/…' nor a model of the hub"
            )
        if (place := get(hub_model(reference, files))) is None:
            return None
        parts[part] = place / part if reference == COMMUNITY.repo else place
    return PipelineSource(folder, config, parts)


def hub_model(repo: str, files: tuple[str, ...]) -> HubModel:
    """Describe a Hub repository of which the given files are needed."""
    if repo == COMMUNITY.repo:
        return COMMUNITY
    return HubModel(repo, files, megabytes=0, licence="see its page", gated=repo.startswith("pyannote/"))


def _read_config(folder: Path) -> dict[str, Any]:
    import yaml

    file = folder / "config.yaml"
    if not file.is_file():
        reason = "it has no config.yaml" if folder.is_dir() else "there is no such folder"
        raise EngineUnavailable(
            f"{folder} is not a pipeline of pyannote.audio ({reason}): accept the terms on https://hf.co/{COMMUNITY.repo}, set "
            "HF_TOKEN and let it be downloaded, or copy all of it into a folder"
        )
    try:
        config = yaml.safe_load(file.read_text())
        pipeline = config["pipeline"]["name"]
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise EngineUnavailable(f"{file} does not say which pipeline it configures: copy the model again") from error
    if pipeline not in _PIPELINES or "preprocessors" in config:
        what = "preprocessors" if pipeline in _PIPELINES else pipeline
        raise EngineUnavailable(f"{file} configures {what}: only pyannote.audio's own SpeakerDiarization is run")
    return config


def pipeline_config(
    found: PipelineSource, *, segmentation_step: float | None, threshold: float | None
) -> dict[str, Any]:
    """Return a pipeline's configuration with the paths of its parts, for `Pipeline.from_pretrained`.

    Args:
        found: the pipeline.
        segmentation_step: parameter of `SpeakerDiarization`; None keeps the pipeline's.
        threshold: clustering threshold; None keeps the pipeline's.
    """
    params = {k: v for k, v in found.config["pipeline"].get("params", {}).items() if k not in _FILES}
    params |= {part: {"checkpoint": str(place)} for part, place in found.parts.items()}
    if segmentation_step is not None:
        params["segmentation_step"] = segmentation_step
    values = dict(found.config.get("params", {}))
    if threshold is not None:
        values["clustering"] = {**values.get("clustering", {}), "threshold": threshold}
    config = {k: v for k, v in found.config.items() if k != "device"}
    return {**config, "pipeline": {**found.config["pipeline"], "params": params}, "params": values}


def check_weights(files: Iterable[Path]) -> None:
    """Make sure that loading weights runs no code but torch's and pyannote.audio's, which must have been imported.

    `torch.load(weights_only=True)` refuses every other class or function that a pickle refers to.

    Raises:
        EngineUnavailable: weights refer to other code, or cannot be read.
    """
    import torch
    from pyannote.audio.core.model import Introspection
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from torch.torch_version import TorchVersion

    known = [Introspection, Problem, Resolution, Specifications, TorchVersion]
    for file in files:
        try:
            with torch.serialization.safe_globals(known):
                torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file may raise anything
            if referenced := _REFERENCED_GLOBAL.search(str(error)):
                raise EngineUnavailable(
                    f"{file} asks for {referenced[1]}, so it may run any code when it is loaded: set `trusted` if you trust it"
                ) from error
            raise EngineUnavailable(f"{file} cannot be read ({first_line(error)}): copy the model again") from error
