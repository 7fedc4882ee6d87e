"""The base class of engines, and the lookup of an engine by name.

An engine is one module in one of the engine folders (`speech/diarizers`, `speech/transcribers`, `quality/scorers`, …); one that
needs more than a module has a folder there, with a module `engine`. It defines one subclass of `Engine`: the settings, cheap to
make and to send to another process, with `load()` giving the object that does the work. Nothing heavy is imported by an engine's
module itself; `load()` does that.
"""

import hashlib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from podcast_assets.engines.model_cache import HubModel

FOLDERS = {
    "diarizer": "podcast_assets.speech.diarizers",
    "transcriber": "podcast_assets.speech.transcribers",
    "scorer": "podcast_assets.quality.scorers",
    "punctuator": "podcast_assets.quality.punctuators",
    "separator": "podcast_assets.audio.separators",
    "aligner": "podcast_assets.speech.aligners",
}


GpuUse = Literal["never", "optional", "required"]
"""Whether an engine computes on a GPU: `optional` is where there is one."""


def runtime(default: Any, **kwargs: Any) -> Any:
    """A field that changes how fast results come, not what they are (device, threads, batch size): not part of the identity."""
    return Field(default, json_schema_extra={"runtime": True}, **kwargs)


class Engine(BaseModel):
    """Settings of one engine. `load()` makes the worker; everything else is cheap and needs no ML package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions the provenance records."""
    extra: ClassVar[str | None] = None
    """The extra of this project to install when an import fails; None for the base install."""
    speaker_cap: ClassVar[int | None] = None
    """Most speakers that a diarizer can tell apart; None where there is no such number."""
    embedded: ClassVar[bool] = False
    """True for the small engines that run anywhere: rows that they make say so."""

    def load(self, device: str | None = None) -> Any:
        """Load the model and return the worker. Called once per worker.

        Args:
            device: the one of `devices()` that is held for the worker; None for engines that hold none.

        Raises:
            EngineUnavailable: a package or a model is missing.
        """
        raise NotImplementedError

    def fetch(self) -> None:
        """Bring the model to this machine where it is not there yet, so that its content can be part of the identity.

        Raises:
            EngineUnavailable: it cannot be had.
        """

    def devices(self) -> list[str]:
        """Devices of which the worker holds one while it lives ("cuda:0"); none for engines that share what there is."""
        return []

    def gpu_use(self) -> GpuUse:
        """Whether it computes on a GPU, on this machine or on another: by its settings alone, so that no driver is asked.

        `never` means that `devices()` is empty everywhere.
        """
        device: str | None = getattr(self, "device", None)
        if device is not None:
            return _GPU_USE[device]
        return "never" if type(self).devices is Engine.devices else "optional"

    def hub_models(self) -> list[HubModel]:
        """Models of the hub that these settings need; none where a local folder is named or the package carries its model."""
        return []

    def complaint(self) -> str | None:
        """What is wrong here, but for packages and models of the hub that are not here; None if it can be loaded. Cheap."""
        self.model_files()
        return None

    def model_files(self) -> list[Path]:
        """Local files that hold the model, in a fixed order; their content is part of the identity."""
        return []

    def narrowed(self, inputs: Mapping[str, Any]) -> "Engine":
        """The part of a composed engine that an episode with these inputs of its stage needs; a plain engine is its own."""
        return self

    def identity(self) -> dict[str, Any]:
        """What determines the results: name, settings that change them, and the model's hash."""
        fields = type(self).model_fields
        settings = {
            k: v
            for k, v in self.model_dump(mode="json").items()
            if not (isinstance(extra := fields[k].json_schema_extra, dict) and extra.get("runtime"))
        }
        files = self.model_files()
        if files:  # the model is known by its content, not by the folder that it lies in
            settings.pop("model", None)
        return {"engine": self.name, "settings": settings, "model": hash_files(files) if files else None}

    def versions(self) -> dict[str, str]:
        """Installed versions of the packages that the engine uses."""
        return {p: _installed_version(p) for p in self.packages}


_GPU_USE: Mapping[str, GpuUse] = {"cpu": "never", "auto": "optional", "cuda": "required"}
"""By the setting `device`."""


def most_gpu_use(engines: Iterable[Engine]) -> GpuUse:
    """GPU use of the most demanding of several engines."""
    found = {engine.gpu_use() for engine in engines}
    return "required" if "required" in found else "optional" if "optional" in found else "never"


@cache
def _installed_version(package: str) -> str:
    return importlib.metadata.version(package)


def hash_files(files: list[Path]) -> str:
    """SHA-256 over the names and contents of model files, remembered as long as they do not change."""
    total = hashlib.sha256()
    for file in files:
        stat = file.stat()
        total.update(f"{file.name}\0{_sha256(file, stat.st_size, stat.st_mtime_ns)}\0".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _sha256(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@cache
def engines(kind: str) -> tuple[type[Engine], ...]:
    """Every engine of a kind ("diarizer", "transcriber", "scorer"), found by looking into its folder."""
    return tuple(found for module in _list_modules(kind).values() for found in _engines_in(module))


def _list_modules(kind: str) -> dict[str, str]:
    """The modules of a kind's folder, by name; of an engine that has a folder of its own, its module `engine`."""
    package = importlib.import_module(FOLDERS[kind])
    return {
        info.name: f"{package.__name__}.{info.name}{'.engine' if info.ispkg else ''}"
        for info in pkgutil.iter_modules(package.__path__)
    }


def _engines_in(module: str) -> list[type[Engine]]:
    """The engines that a module defines: a base class that several share has no name of its own."""
    values = vars(importlib.import_module(module)).values()
    found = [v for v in values if isinstance(v, type) and issubclass(v, Engine) and v.__module__ == module]
    return [engine for engine in found if "name" in vars(engine)]


def is_embedded(kind: str, name: str) -> bool:
    """Whether an engine is one of the small ones that run anywhere."""
    return any(e.embedded for e in engines(kind) if e.name == name)


def make_engine(kind: str, name: str, **settings: Any) -> Engine:
    """The engine of that kind and name, with settings.

    Raises:
        ValueError: there is no such engine; the message lists those that there are.
    """
    return _engine_class(kind, name)(**settings)


@cache
def _engine_class(kind: str, name: str) -> type[Engine]:
    """The engine of that name: of the module that has its name, if there is one, else of any."""
    if module := _list_modules(kind).get(name.replace("-", "_")):
        for found in _engines_in(module):
            if found.name == name:
                return found
    known = {e.name: e for e in engines(kind)}
    if name not in known:
        raise ValueError(f"no {kind} is called {name!r}; there are: {', '.join(sorted(known))}")
    return known[name]
