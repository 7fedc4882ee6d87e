"""Number format, batch size and threads go by the device and its memory."""

import pytest

from podcast_assets.speech.transcribers.faster_whisper import compute
from podcast_assets.speech.transcribers.faster_whisper.compute import batch_size, compute_type, cpu_workers

GB = 1_000_000_000
LARGE = 3_090_000_000
AMPERE = {"float16", "int8_float16", "int8", "float32", "bfloat16"}


@pytest.mark.parametrize(
    ("device", "supported", "memory", "weights", "expected"),
    [
        ("cpu", {"int8", "float32"}, None, LARGE, "int8"),
        ("cpu", {"float32"}, None, LARGE, "float32"),
        ("cuda", AMPERE, 24 * GB, LARGE, "float16"),
        ("cuda", AMPERE, 6 * GB, LARGE, "int8_float16"),
        ("cuda", {"int8", "float32"}, 8 * GB, LARGE, "int8"),
        ("cuda", {"float32"}, 24 * GB, LARGE, "float32"),
        ("cuda", AMPERE, None, None, "float16"),
    ],
    ids=["cpu", "old cpu", "24 GB", "6 GB", "old GPU", "very old GPU", "nothing known"],
)
def test_number_format(
    device: str, supported: set[str], memory: int | None, weights: int | None, expected: str
) -> None:
    assert compute_type(device, supported, memory, weights) == expected


def test_batches_grow_with_the_memory_and_stay_in_bounds() -> None:
    sizes = [batch_size("cuda", gb * GB, LARGE) for gb in (4, 8, 16, 24, 80, 141)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (8, 64)
    assert all(size % 8 == 0 for size in sizes)
    assert batch_size("cpu", None, LARGE) == 4
    assert batch_size("cuda", None, None) == 16


@pytest.mark.parametrize(
    ("threads", "cores", "variable", "expected"),
    [
        (0, 1, "", (1, 1)),
        (0, 2, "", (2, 1)),
        (0, 8, "", (2, 4)),
        (0, 64, "", (2, 4)),
        (0, 8, "1", (1, 1)),
        (0, 8, "no number", (2, 4)),
        (1, 8, "", (1, 1)),
        (16, 8, "1", (2, 8)),
    ],
)
def test_two_minibatches_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, threads: int, cores: int, variable: str, expected: tuple[int, int]
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr(compute, "available_cores", lambda: cores)
    assert cpu_workers(threads) == expected
