"""Checks of NVIDIA GPUs: the driver, what CTranslate2 can use, and cuBLAS."""

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding
from podcast_assets.common.errors import first_line
from podcast_assets.common.wording import count_noun

AREA = "GPU"
CUBLAS = "libcublas.so.12"
"""Library that CTranslate2 4 opens on Linux when it first uses a GPU; it needs no cuDNN."""
OLDEST_CAPABILITY = 5.3
"""The wheel of CTranslate2 4.8.5 has code for compute capabilities 5.3 to 8.6; newer GPUs compile it when it starts."""
BROKEN_DRIVER = 550
"""Driver with which CTranslate2 4.7 and 4.8 can return empty transcripts without an error."""
SECONDS = 10.0
"""Timeout of nvidia-smi, which can hang when a driver is broken."""


@dataclass(frozen=True, slots=True)
class GpuCard:
    """A GPU as reported by the driver."""

    name: str
    driver: str
    memory: int
    """Bytes."""
    capability: float | None
    """Compute capability; None if the driver does not report it."""


def examine(cards: Sequence[GpuCard] | str, usable: int | None, cublas: str | None, *, needed: bool) -> list[Finding]:
    """Check the GPUs, the driver and cuBLAS.

    Args:
        cards: as returned by `cards`.
        usable: number of GPUs that CTranslate2 can use; None if it is not installed.
        cublas: why cuBLAS cannot be opened; None if it can.
        needed: whether the profile uses GPUs.
    """
    if isinstance(cards, str) or not cards:
        what = cards if isinstance(cards, str) else "no NVIDIA GPU"
        if needed:
            return [Finding(AREA, "missing", f"{what}; the profile needs one", "choose the profile cpu", True)]
        return [Finding(AREA, "ok", f"{what}: engines use the CPU")]
    findings = [_examine_card(card, needed=needed) for card in cards]
    if usable is not None and usable < len(cards):
        todo = "check CUDA_VISIBLE_DEVICES; if it is right, update the driver"
        what = f"CTranslate2 can use {usable} of {len(cards)} GPUs"
        findings.append(Finding(AREA, "warning" if usable else "missing", what, todo, needed and not usable))
    elif usable:
        findings.append(Finding(AREA, "ok", f"CTranslate2 can use {count_noun(usable, 'GPU')}"))
    if cublas:
        todo = "pip install 'podcast-assets[cuda]'"
        findings.append(Finding(AREA, "missing", f"{CUBLAS} cannot be opened: {cublas}", todo, needed))
    else:
        findings.append(Finding(AREA, "ok", f"{CUBLAS} can be opened"))
    return findings


def _examine_card(card: GpuCard, *, needed: bool) -> Finding:
    capability = "unknown" if card.capability is None else f"{card.capability:.1f}"
    what = f"{card.name}: {card.memory / 1e9:.0f} GB, compute capability {capability}, driver {card.driver}"
    if card.capability is not None and card.capability < OLDEST_CAPABILITY:
        return Finding(AREA, "missing", f"{what}: too old for CTranslate2", "choose the profile cpu", needed)
    if card.driver.split(".")[0] == str(BROKEN_DRIVER):
        what += f": driver {BROKEN_DRIVER} is known to give empty transcripts without an error"
        return Finding(AREA, "warning", what, "update the driver, unless the test clip is transcribed on this GPU")
    return Finding(AREA, "ok", what)


@dataclass(frozen=True, slots=True)
class GpuLoad:
    """What a GPU does at this moment, as reported by the driver."""

    index: int
    name: str
    busy: int
    """Share of the time in which it computes, percent."""
    used: int
    """Memory in use, bytes."""
    memory: int
    """Bytes."""


def cards() -> list[GpuCard] | str:
    """List the GPUs of this machine; if the driver fails, return why."""
    lines = _ask_driver("name,driver_version,memory.total,compute_cap")
    return lines if isinstance(lines, str) else [card for line in lines if (card := parse_card(line))]


def read_loads() -> list[GpuLoad]:
    """Read what the GPUs of this machine do; nothing if the driver fails, which `doctor` explains."""
    lines = _ask_driver("index,name,utilization.gpu,memory.used,memory.total")
    return [] if isinstance(lines, str) else [load for line in lines if (load := parse_load(line))]


def _ask_driver(fields: str) -> list[str] | str:
    """Return a line of comma-separated values for each GPU of this machine; if the driver fails, return why."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except FileNotFoundError:
        return []
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not work: {first_line(error)}"
    if result.returncode:
        lines = (result.stdout or result.stderr).strip().splitlines()
        return f"nvidia-smi does not work: {lines[0] if lines else f'exit status {result.returncode}'}"
    return result.stdout.splitlines()


def parse_card(line: str) -> GpuCard | None:
    """Parse a line of nvidia-smi: name, driver, memory in MiB, compute capability; None if it is none."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 4:
        return None
    name, driver, memory, capability = parts
    return GpuCard(name, driver, int(_parse_number(memory) or 0) * 2**20, _parse_number(capability))


def parse_load(line: str) -> GpuLoad | None:
    """Parse a line of nvidia-smi: index, name, percent busy, used and total memory in MiB; None if it is none.

    What the driver does not report, such as the use of a part of a GPU (MIG), counts as 0.
    """
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 5 or not parts[0].isdecimal():
        return None
    busy, used, memory = (int(_parse_number(part) or 0) for part in parts[2:])
    return GpuLoad(int(parts[0]), parts[1], busy, used * 2**20, memory * 2**20)


def count_usable() -> int | None:
    """Number of GPUs that CTranslate2 can use; None if it is not installed."""
    try:
        import ctranslate2
    except ImportError:
        return None
    return ctranslate2.get_cuda_device_count()


def cublas_problem() -> str | None:
    """Why cuBLAS cannot be opened; None if it can."""
    try:
        ctypes.CDLL(CUBLAS)
    except OSError as error:
        wheels = [Path(p) / "nvidia/cublas/lib" / CUBLAS for p in sys.path]
        if found := next((w for w in wheels if w.is_file()), None):
            return f"it is at {found}, outside the search path: put {found.parent} into LD_LIBRARY_PATH"
        return first_line(error)
    return None


def _parse_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
