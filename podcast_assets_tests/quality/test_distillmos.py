"""Distill-MOS with its real weights, on a voice of the sample batch."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from benchmarks import dnsmos_degradations as degrade
from podcast_assets.engines.torchaudio_shim import import_torchaudio
from podcast_assets.quality.scorers.distillmos import DistillMos
from podcast_assets.speech.types import SAMPLE_RATE, Samples
from podcast_assets_tests import miniature

torch = pytest.importorskip("torch", reason="the extra `distillmos` is not installed")
pytest.importorskip("xls_r_sqa", reason="the extra `distillmos` is not installed")


@pytest.fixture(scope="module")
def scorer() -> Any:
    return DistillMos(device="cpu", batch_size=2).load()


@pytest.fixture(scope="module")
def voice() -> Samples:
    clip = next(degrade.clips([miniature.BATCH / "night-science.mp3"], 1))
    return np.ascontiguousarray(clip, np.float32)


def score(scorer: Any, samples: Samples, *spans: tuple[float, float]) -> list[float | None]:
    return [s["distillmos"] for s in scorer.score(samples, spans or [(0.0, len(samples) / SAMPLE_RATE)])]


def test_noise_lowers_the_score(scorer: Any, voice: Samples) -> None:
    noise = np.random.default_rng(0).normal(0, np.sqrt((voice**2).mean()), len(voice)).astype(np.float32)
    (clean,), (weak,), (strong,) = (score(scorer, np.float32(share) * noise + voice) for share in (0.0, 0.1, 1.0))
    assert clean is not None
    assert weak is not None
    assert strong is not None
    assert 5.0 >= clean > weak + 0.2 > strong + 0.4 > 1.0


def test_segments_of_a_minibatch_have_the_scores_that_the_library_gives_each_alone(scorer: Any, voice: Samples) -> None:
    import_torchaudio()
    from distillmos import ConvTransformerSQAModel

    with contextlib.redirect_stdout(io.StringIO()):
        reference = ConvTransformerSQAModel().eval()
    long = np.tile(voice, 1 + 10 * SAMPLE_RATE // len(voice))
    spans = [(0.0, 1.5), (0.5, 4.0), (0.0, 10.0), (1.0, 3.0)]
    with torch.inference_mode():
        alone = [
            float(reference(torch.from_numpy(long[None, round(a * SAMPLE_RATE) : round(b * SAMPLE_RATE)])))
            for a, b in spans
        ]
    assert score(scorer, long, *spans) == pytest.approx(alone, abs=2e-4)


def test_what_is_too_short_or_silent_has_no_score(scorer: Any, voice: Samples) -> None:
    assert score(scorer, voice, (0.0, 0.4), (0.0, 2.0))[0] is None
    assert score(scorer, np.zeros(3 * SAMPLE_RATE, np.float32)) == [None]
    assert scorer.score(voice, []) == []
