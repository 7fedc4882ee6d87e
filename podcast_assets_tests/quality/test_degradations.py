"""Scores move the right way when speech is made worse by known amounts. `benchmarks.dnsmos_degradations` prints the whole table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import dnsmos_degradations as degrade
from benchmarks.dnsmos_degradations import SECONDS, Samples
from podcast_assets.quality.scorers.dnsmos.engine import DnsmosEngine
from podcast_assets.speech.rttm import format_rttm, parse_rttm
from podcast_assets.speech.segmentation import PRESETS, segment
from podcast_assets.speech.types import Diarization, Turn
from podcast_assets_tests import miniature

SPOKEN = ("synthesized", "read")


@pytest.fixture(scope="module")
def scorer() -> Any:
    return DnsmosEngine(device="cpu").load()


@pytest.fixture(scope="module")
def synthesized() -> Samples:
    return next(degrade.clips([miniature.BATCH / "night-science.mp3"], 1))


@pytest.fixture(scope="module", params=SPOKEN)
def clean(request: pytest.FixtureRequest, synthesized: Samples) -> Samples:
    """A voice of the sample batch, and a sentence read for LibriVox."""
    if request.param == "synthesized":
        return synthesized
    return next(degrade.clips([request.getfixturevalue("real_audio") / "sense-0870.wav"], 1))


Score = Callable[[Samples], Any]


@pytest.fixture(scope="module")
def score(scorer: Any) -> Score:
    return lambda samples: degrade.measured(samples, scorer)


def series(score: Score, clean: Samples, make: Callable[[Samples, float, int], Samples], *amounts: float) -> Any:
    """Name of a score → its values for the amounts."""
    each = [score(make(clean, amount, 1)) for amount in amounts]
    return {name: np.array([scores[name] for scores in each]) for name in each[0]}


def test_noise(score: Score, clean: Samples):
    found = series(score, clean, degrade.with_noise, 40, 20, 10, 0)
    assert (np.diff(found["dnsmos_bak"]) < -0.3).all()
    assert (np.diff(found["dnsmos_ovrl"]) < -0.15).all()
    assert np.ptp(found["dnsmos_ovrl"]) > 1
    assert np.ptp(found["dnsmos_p808"]) > 0.6
    assert (np.diff(found["snr_db"]) < -1).all()
    assert found["snr_db"][2:] == pytest.approx([10, 0], abs=3)


def test_clipping(score: Score, clean: Samples):
    found = series(score, clean, degrade.clipped, 0, 0.01, 0.05, 0.2)
    assert found["clipping_share"] == pytest.approx([0, 0.01, 0.05, 0.2], rel=0.2)
    assert found["peak_db"] == pytest.approx([20 * np.log10(degrade.HEADROOM), 0, 0, 0], abs=0.01)
    assert (np.diff(found["loudness_lufs"]) > 1).all()
    assert found["dnsmos_p808"][3] < found["dnsmos_p808"][0] - 0.3


def test_low_pass(score: Score, clean: Samples):
    found = series(score, clean, degrade.low_passed, 7000, 4000, 2000, 1000)
    assert found["bandwidth_hz"] == pytest.approx([7000, 4000, 2000, 1000], rel=0.06)
    assert (np.diff(found["dnsmos_sig"]) < 0).all()
    assert np.ptp(found["dnsmos_sig"]) > 0.2
    assert (np.diff(found["dnsmos_p808"]) < 0).all()
    assert np.ptp(found["dnsmos_p808"]) > 0.4
    # a narrow band is not noise: this is what the bandwidth is there for
    assert (found["dnsmos_bak"] > 3.5).all()


def test_reverberation(score: Score, clean: Samples):
    found = series(score, clean, degrade.reverberated, 0.15, 0.3, 0.6, 1.2)
    for name in ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"):
        assert (np.diff(found[name]) < 0.1).all(), name
    assert (np.diff(found["dnsmos_ovrl"]) < -0.04).all()
    assert np.ptp(found["dnsmos_ovrl"]) > 1.5
    assert np.ptp(found["dnsmos_p808"]) > 0.5
    # a room fills the pauses, which is all that the estimate hears of it
    assert found["snr_db"][3] < found["snr_db"][0] - 5


def test_music(score: Score, clean: Samples):
    found = series(score, clean, degrade.with_music, 30, 20, 10, 0)
    assert (np.diff(found["dnsmos_bak"]) < -0.3).all()
    assert (np.diff(found["dnsmos_ovrl"]) < -0.1).all()
    assert found["dnsmos_ovrl"][3] < 1.5
    assert found["dnsmos_p808"][3] < found["dnsmos_p808"][0] - 0.5
    assert (np.diff(found["snr_db"]) < -1).all()


def test_overlap(score: Score, synthesized: Samples, real_audio: Path):
    other = next(degrade.clips([real_audio / "sense-0870.wav"], 1))
    shares = (0.25, 0.5, 1.0)
    each = [score(degrade.overlapped(synthesized, share, other)) for share in (0.0, *shares)]
    background, speech = (np.array([scores[n] for scores in each]) for n in ("dnsmos_bak", "speech_share"))
    assert (np.diff(background) < -0.15).all()
    assert (np.diff(speech) > 0.02).all()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_overlap_share_is_that_of_the_full_diarization(share: float):
    """By way of the file that lies beside an episode's segments."""
    both = [Turn(0.0, SECONDS, "speaker"), *([Turn(0.0, share * SECONDS, "other")] if share else [])]
    full = parse_rttm(format_rttm("episode", both))["episode"]
    silence = np.zeros(round(SECONDS * 16_000), np.float32)
    (turn,) = segment(Diarization([Turn(0.0, SECONDS, "speaker")], full), silence, PRESETS["none"])
    assert turn.overlap == pytest.approx(share, abs=1e-3)


def test_speech_share_is_that_of_the_part_that_speaks(score: Score, clean: Samples):
    half = np.where(np.arange(len(clean)) < len(clean) // 2, clean, 0).astype(np.float32)
    whole, part = score(clean)["speech_share"], score(half)["speech_share"]
    assert whole > 0.7
    assert part == pytest.approx(whole / 2, abs=0.1)
    assert score(np.zeros_like(clean))["speech_share"] == 0
