"""The base class of engines, and the lookup of an engine by name.

An engine is a module in one of the engine folders (`speech/diarizers`, `speech/transcribers`, `quality/scorers`, …), or a folder
there with a module `engine`. It defines a subclass of `Engine`, which holds the settings and is cheap to create and to send to
another process. `load()` returns the worker that computes; heavy packages are imported there, not by the module.
"""

import hashlib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from podcast_assets.common.hashing import cached_sha256
from podcast_assets.engines.model_cache import HubModel
from podcast_assets.engines.packaged_models import PackagedModel

FOLDERS = {
    "diarizer": "podcast_assets.speech.diarizers",
    "transcriber": "podcast_assets.speech.transcribers",
    "scorer": "podcast_assets.quality.scorers",
    "punctuator": "podcast_assets.quality.punctuators",
    "separator": "podcast_assets.audio.separators",
    "aligner": "podcast_assets.speech.aligners",
    "embedder": "podcast_assets.catalog.embeddings",
    "classifier": "podcast_assets.moderation.classifiers",
}


GpuUse = Literal["never", "optional", "required"]
"""Whether an engine computes on a GPU; `optional` means if there is one."""


def runtime(default: Any, **kwargs: Any) -> Any:
    """Declare a field that affects speed but not results, such as a device or a batch size; it is not part of the identity."""
    return Field(default, json_schema_extra={"runtime": True}, **kwargs)


class Engine(BaseModel):
    """Settings of one engine. `load()` returns the worker; everything else is cheap and needs no ML package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions the provenance records."""
    extra: ClassVar[str | None] = None
    """The extra of this project to install when an import fails; None for the base install."""
    speaker_cap: ClassVar[int | None] = None
    """Largest number of speakers that a diarizer distinguishes; None if it has no limit."""
    embedded: ClassVar[bool] = False
    """True for last resorts that run anywhere at much lower accuracy, which their rows record (`degraded`)."""

    def load(self, device: str | None = None) -> Any:
        """Load the model and return the worker. Called once per worker.

        Args:
            device: one of `devices()`, reserved for the worker; None for engines that reserve none.

        Raises:
            EngineUnavailable: a package or a model is missing.
        """
        raise NotImplementedError

    def fetch(self) -> None:
        """Download the model if it is not on this machine, so that its content can be part of the identity.

        Raises:
            EngineUnavailable: the model is not available.
        """

    def devices(self) -> list[str]:
        """Devices such as "cuda:0", one of which a worker reserves; empty for engines that share devices."""
        return []

    def gpu_use(self) -> GpuUse:
        """Whether the engine computes on a GPU, on any machine. Derived from its settings alone, without asking a driver.

        `never` means that `devices()` is empty on every machine.
        """
        device: str | None = getattr(self, "device", None)
        if device is not None:
            return _GPU_USE[device]
        return "never" if type(self).devices is Engine.devices else "optional"

    def hub_models(self) -> list[HubModel]:
        """Hub models that these settings need; empty if a local folder is set or an installed package includes the model."""
        return []

    def packaged_models(self) -> list[PackagedModel]:
        """Models that these settings take from installed packages in place of the hub; `fetch` makes them ready."""
        return []

    def unavailable_reason(self) -> str | None:
        """Reason why the engine cannot be loaded here, apart from missing packages and hub models; None if there is none. Cheap."""
        self.model_files()
        return None

    def model_files(self) -> list[Path]:
        """Local files of the model, in a fixed order; their content is part of the identity."""
        return []

    def for_inputs(self, inputs: Mapping[str, Any]) -> "Engine":
        """Return the part of a composed engine that an episode with these stage inputs needs; by default the engine itself."""
        return self

    def identity(self) -> dict[str, Any]:
        """Everything that determines the results: the name, the settings that affect them, and the model's hash."""
        fields = type(self).model_fields
        settings = {
            k: v
            for k, v in self.model_dump(mode="json").items()
            if not (isinstance(extra := fields[k].json_schema_extra, dict) and extra.get("runtime"))
        }
        files = self.model_files()
        if files:  # a model is identified by its content, not by its folder
            settings.pop("model", None)
        return {"engine": self.name, "settings": settings, "model": hash_files(files) if files else None}

    def versions(self) -> dict[str, str]:
        """Installed versions of the packages that the engine uses."""
        return {p: _installed_version(p) for p in self.packages}


_GPU_USE: Mapping[str, GpuUse] = {"cpu": "never", "auto": "optional", "cuda": "required"}
"""Value of the setting `device` → GPU use."""


def most_gpu_use(engines: Iterable[Engine]) -> GpuUse:
    """Return the GPU use of the most demanding of several engines."""
    found = {engine.gpu_use() for engine in engines}
    return "required" if "required" in found else "optional" if "optional" in found else "never"


@cache
def _installed_version(package: str) -> str:
    return importlib.metadata.version(package)


def hash_files(files: list[Path]) -> str:
    """Hash the names and contents of model files (SHA-256). Cached until a file changes."""
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.name}\0{cached_sha256(file)}\0".encode())
    return total.hexdigest()


@cache
def engines(kind: str) -> tuple[type[Engine], ...]:
    """List every engine of a kind, such as "diarizer", from the modules of its folder."""
    return tuple(found for module in _list_modules(kind).values() for found in _engines_in(module))


def _list_modules(kind: str) -> dict[str, str]:
    """Map the names in a kind's folder to modules; an engine with its own folder is in the module `engine` there."""
    package = importlib.import_module(FOLDERS[kind])
    return {
        info.name: f"{package.__name__}.{info.name}{'.engine' if info.ispkg else ''}"
        for info in pkgutil.iter_modules(package.__path__)
    }


def _engines_in(module: str) -> list[type[Engine]]:
    """List the engines that a module defines, without shared base classes, which have no name."""
    values = vars(importlib.import_module(module)).values()
    found = [v for v in values if isinstance(v, type) and issubclass(v, Engine) and v.__module__ == module]
    return [engine for engine in found if "name" in vars(engine)]


def is_embedded(kind: str, name: str) -> bool:
    """Whether an engine is one of the last resorts that run anywhere."""
    return any(e.embedded for e in engines(kind) if e.name == name)


def make_engine(kind: str, name: str, **settings: Any) -> Engine:
    """Create an engine by kind and name.

    Raises:
        ValueError: there is no such engine; the message lists the known ones.
    """
    return _engine_class(kind, name)(**settings)


@cache
def _engine_class(kind: str, name: str) -> type[Engine]:
    """Find an engine by name, first in the module of that name, so that the others need not be imported."""
    if module := _list_modules(kind).get(name.replace("-", "_")):
        for found in _engines_in(module):
            if found.name == name:
                return found
    known = {e.name: e for e in engines(kind)}
    if name not in known:
        raise ValueError(f"no {kind} is called {name!r}; there are: {', '.join(sorted(known))}")
    return known[name]
