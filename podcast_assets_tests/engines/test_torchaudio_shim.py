import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podcast_assets.engines.torchaudio_shim import import_torchaudio

LOADS = "version = 'compiled'\n"
DOES_NOT_LOAD = """
import sys
from . import early
from . import _extension
from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE, _check_cuda_version, fail_if_no_align
version = "compiled" if _IS_TORCHAUDIO_EXT_AVAILABLE else "python only"

@fail_if_no_align
def align(): ...
"""


@pytest.fixture
def torchaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a torchaudio that goes before the installed one."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "torchaudio"
    folder.mkdir()
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "torchaudio":
            del sys.modules[name]


def test_a_torchaudio_that_loads_is_taken_as_it_is(torchaudio: Path):
    (torchaudio / "__init__.py").write_text(LOADS)
    assert import_torchaudio().version == "compiled"
    assert import_torchaudio().version == "compiled"


@pytest.mark.parametrize("error", ["OSError('libc10_cuda.so')", "RuntimeError('different CUDA versions')"])
def test_where_its_compiled_part_does_not_load_the_rest_does(torchaudio: Path, error: str):
    (torchaudio / "__init__.py").write_text(DOES_NOT_LOAD)
    (torchaudio / "early.py").write_text("")
    (torchaudio / "_extension.py").write_text(f"raise {error}")
    module = import_torchaudio()
    assert module.version == "python only"
    module._extension._check_cuda_version()
    with pytest.raises(RuntimeError, match="alignment"):
        module.align()


def test_any_other_trouble_is_told(torchaudio: Path):
    (torchaudio / "__init__.py").write_text("import a_package_that_is_not_there")
    with pytest.raises(ImportError):
        import_torchaudio()
