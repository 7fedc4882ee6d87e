import numpy as np
import pytest

from podcast_assets.audio.cut import cut_segments
from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import encode
from podcast_assets.audio.errors import TruncatedAudio
from podcast_assets_tests.audio.conftest import RATE

SPANS = [(0.0, 0.5), (0.25, 3.1234), (0.3, 0.4), (3.1234, 6.0), (6.0, 6.0001), (7.5, 7.5), (9.9, 12.3)]


@pytest.mark.parametrize("codec", ["flac", "mp3", "opus"])
def test_segments_equal_slices_of_the_whole(stereo, codec):
    data = encode(stereo, RATE, codec)
    rate = 48_000 if codec == "opus" else RATE
    whole = decode(data, rate=rate)
    segments = list(cut_segments(data, SPANS))
    assert len(segments) == len(SPANS)
    for (start, end), segment in zip(SPANS, segments, strict=True):
        np.testing.assert_array_equal(segment, whole[round(start * rate) : round(end * rate)])


def test_channels_are_kept_when_asked_for(stereo):
    (segment,) = cut_segments(encode(stereo, RATE), [(2.0, 3.0)], mono=False)
    np.testing.assert_allclose(segment, stereo[2 * RATE : 3 * RATE], atol=1e-4)


def test_segments_are_resampled_each(stereo):
    (segment,) = cut_segments(encode(stereo, RATE), [(2.0, 3.0)], rate=24_000)
    assert segment.shape == (24_000,)
    assert np.std(segment) == pytest.approx(np.std(stereo[2 * RATE : 3 * RATE].mean(axis=1)), rel=0.01)


def test_an_end_just_beyond_the_audio_is_its_end(stereo):
    (segment,) = cut_segments(encode(stereo, RATE), [(12.0, 12.4)])
    assert len(segment) == round(0.3 * RATE)


def test_a_start_beyond_the_audio_is_an_error(stereo):
    segments = cut_segments(encode(stereo, RATE), [(1.0, 2.0), (14.0, 15.0)])
    assert len(next(segments)) == RATE
    with pytest.raises(TruncatedAudio, match=r"ends after 12\.3 s, before the segment at 14\.0 s"):
        next(segments)


@pytest.mark.parametrize("spans", [[(2, 3), (1, 2)], [(3, 2)], [(-1, 2)], [(float("nan"), 2)]])
def test_spans_in_disorder_are_refused_at_once(stereo, spans):
    with pytest.raises(ValueError, match="sorted"):
        cut_segments(encode(stereo, RATE), spans)


def test_no_spans_give_nothing(stereo):
    assert list(cut_segments(encode(stereo, RATE), [])) == []


def test_memory_follows_the_longest_span_and_not_the_file(stereo):
    import tracemalloc

    data = encode(np.tile(stereo, (20, 1)), RATE)  # 246 s: 43 MB as one channel of float32
    list(cut_segments(data, [(0.0, 1.0)]))
    tracemalloc.start()
    for _ in cut_segments(data, [(float(s), s + 2.0) for s in range(0, 240, 2)]):
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000
