"""Import of torchaudio when its compiled extension cannot be loaded.

The wheels of the package index are linked to CUDA: beside a CPU build of torch `import torchaudio` raises OSError, beside a torch
of another CUDA release RuntimeError. pyannote.audio uses only what is written in Python (resampling, Kaldi's filter banks).
"""

import importlib
import logging
import sys
from types import ModuleType

log = logging.getLogger(__name__)

_EXTENSION = "torchaudio._extension"


def import_torchaudio() -> ModuleType:
    """Import torchaudio, without its compiled extension if that cannot be loaded.

    Raises:
        ImportError: torchaudio is not installed.
    """
    try:
        return importlib.import_module("torchaudio")
    except (OSError, RuntimeError) as error:
        log.debug("torchaudio without its compiled part: %s", error)
    for name in [n for n in sys.modules if n == "torchaudio" or n.startswith("torchaudio.")]:
        del sys.modules[name]
    sys.modules[_EXTENSION] = _make_stub()
    return importlib.import_module("torchaudio")


def _make_stub() -> ModuleType:
    """Return a replacement for `torchaudio._extension`, with the names of a torchaudio without compiled part."""
    module = ModuleType(_EXTENSION)
    module.__path__ = []  # a package, because others import its submodules
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=_make_refusal,
    )
    return module


def _make_refusal(function: object) -> object:
    def refuse(*_: object, **__: object) -> object:
        raise RuntimeError("torchaudio's alignment needs its compiled part, which does not load here")

    return refuse
