import numpy as np
import pytest

from podcast_assets.audio.decode import decode
from podcast_assets.audio.encode import OPUS_RATES, Codec, encode
from podcast_assets.audio.probe import probe
from podcast_assets_tests.audio.conftest import RATE

CODECS: list[Codec] = ["flac", "wav", "opus", "mp3"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("channels", [1, 2])
def test_the_same_input_gives_the_same_bytes(stereo, codec, channels):
    samples = stereo[: 3 * RATE, :channels]
    assert encode(samples, RATE, codec) == encode(samples.copy(), RATE, codec)
    assert probe(encode(samples, RATE, codec)).channels == channels


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_encoded_comes_back_in_place(stereo, codec):
    mono = stereo[:, 0]
    back = decode(encode(mono, RATE, codec), rate=RATE)
    assert len(back) == len(mono)
    middle = slice(RATE, 4 * RATE)
    assert np.corrcoef(back[middle], mono[middle])[0, 1] > 0.99


@pytest.mark.parametrize("rate", OPUS_RATES)
def test_opus_at_its_own_rates(stereo, rate):
    data = encode(stereo[: 2 * rate, 0], rate, "opus")
    assert len(decode(data, rate=rate)) == 2 * rate


@pytest.mark.parametrize("codec", ["opus", "mp3"])
def test_bit_rate(stereo, codec):
    small, large = (len(encode(stereo, RATE, codec, bit_rate=b)) for b in (32_000, 128_000))
    assert small < large / 2


@pytest.mark.parametrize("codec", CODECS)
def test_a_tenth_of_a_second(stereo, codec):
    data = encode(stereo[:4410, 0], RATE, codec)
    assert len(decode(data, rate=RATE)) == 4410


def test_what_cannot_be_encoded_is_refused(stereo):
    with pytest.raises(ValueError, match="no samples"):
        encode(stereo[:0], RATE)
    with pytest.raises(ValueError, match="flac, wav, opus, mp3"):
        encode(stereo, RATE, "vorbis")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="not 4"):
        encode(np.repeat(stereo, 2, axis=1), RATE, "opus")
