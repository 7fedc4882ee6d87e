"""NVIDIA GPUs: what the driver tells, what CTranslate2 can use, and the library that it needs."""

import ctypes
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podcast_assets.cli.doctor.finding import Finding, first_line

AREA = "GPU"
CUBLAS = "libcublas.so.12"
"""What CTranslate2 4 opens on Linux when it first computes on a GPU; it needs no cuDNN."""
OLDEST_CAPABILITY = 5.3
"""CTranslate2 4.8.5's wheel holds code for compute capabilities 5.3 to 8.6, and code that newer GPUs compile when it starts."""
MUTE_DRIVER = 550
"""Driver with which CTranslate2 4.7 and 4.8 were seen to give empty transcripts without an error."""
SECONDS = 10.0
"""nvidia-smi can hang when a driver is broken."""


@dataclass(frozen=True, slots=True)
class GpuCard:
    """A GPU as reported by the driver."""

    name: str
    driver: str
    memory: int
    """Bytes."""
    capability: float | None
    """Compute capability; None from drivers that do not tell."""


def examine(cards: Sequence[GpuCard] | str, usable: int | None, cublas: str | None, *, needed: bool) -> list[Finding]:
    """Check the GPUs, the driver and cuBLAS.

    Args:
        cards: as `cards` gives them.
        usable: how many of them CTranslate2 sees; None if it is not installed.
        cublas: why the library cannot be opened; None if it can.
        needed: whether the profile computes on GPUs.
    """
    if isinstance(cards, str) or not cards:
        what = cards if isinstance(cards, str) else "no NVIDIA GPU"
        if needed:
            return [Finding(AREA, "missing", f"{what}; the profile needs one", "choose the profile cpu", True)]
        return [Finding(AREA, "ok", f"{what}: engines compute on the CPU")]
    findings = [_examine_card(card, needed=needed) for card in cards]
    if usable is not None and usable < len(cards):
        todo = "see CUDA_VISIBLE_DEVICES; else update the driver"
        what = f"CTranslate2 can use {usable} of {len(cards)} GPUs"
        findings.append(Finding(AREA, "warning" if usable else "missing", what, todo, needed and not usable))
    elif usable:
        findings.append(Finding(AREA, "ok", f"CTranslate2 can use {usable} GPU(s)"))
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
    if card.driver.split(".")[0] == str(MUTE_DRIVER):
        told = f"{what}: driver {MUTE_DRIVER} is known to give empty transcripts without an error"
        return Finding(AREA, "warning", told, "update the driver, unless the test clip is transcribed on this GPU")
    return Finding(AREA, "ok", what)


def cards() -> list[GpuCard] | str:
    """The GPUs of this machine; where the driver cannot tell, why."""
    command = [
        "nvidia-smi",
        "--query-gpu=name,driver_version,memory.total,compute_cap",
        "--format=csv,noheader,nounits",
    ]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except FileNotFoundError:
        return []
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi does not work: {first_line(error)}"
    if told.returncode:
        return f"nvidia-smi does not work: {(told.stdout or told.stderr).strip().splitlines()[:1] or told.returncode}"
    return [card for line in told.stdout.splitlines() if (card := parse_card(line))]


def parse_card(line: str) -> GpuCard | None:
    """A line of nvidia-smi's table: name, driver, memory in MiB, compute capability."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 4:
        return None
    name, driver, memory, capability = parts
    return GpuCard(name, driver, int(_parse_number(memory) or 0) * 2**20, _parse_number(capability))


def count_usable() -> int | None:
    """Number of GPUs that CTranslate2 sees; None if it is not installed."""
    try:
        import ctranslate2
    except ImportError:
        return None
    return ctranslate2.get_cuda_device_count()


def cublas_problem() -> str | None:
    """Why cuBLAS cannot be opened; None if it can, by name or in its wheel."""
    try:
        ctypes.CDLL(CUBLAS)
    except OSError as error:
        wheels = [Path(p) / "nvidia/cublas/lib" / CUBLAS for p in sys.path]
        if found := next((w for w in wheels if w.is_file()), None):
            return f"it lies at {found}, where it is not looked for: put {found.parent} into LD_LIBRARY_PATH"
        return first_line(error)
    return None


def _parse_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
