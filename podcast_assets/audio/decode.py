"""Decoding whole files, to mono at one rate for the speech engines or unchanged."""

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.downmix import DEFAULT, Downmix, mix_tracks, open_tracks
from podcast_assets.audio.resampling import resample
from podcast_assets.audio.source import Source

_FIRST_GUESS_SECONDS = 60.0
_LARGEST_GUESS_SECONDS = 6 * 3600.0  # a header may declare anything


def decode(source: Source, *, rate: int = 16_000, downmix: Downmix = DEFAULT) -> npt.NDArray[np.float32]:
    """Decode to mono samples at a rate, shape (n,), float32; full scale is 1.0.

    Mono of stereo is the mean (libswresample's own float downmix is 3 dB louder and can pass full scale), of more channels their
    mix, see `podcast_assets.audio.channels`. Memory is that of the result and a few seconds more, however long the file.

    Args:
        source: the media file.
        rate: sample rate of the result in Hz.
        downmix: tracks and channels to take.

    Raises:
        AudioError: the file is not audio, has no audio track, is truncated, corrupt or empty; see `errors`.
        OSError: the path cannot be opened.
    """
    with open_tracks(source, downmix.tracks) as readers:
        seconds = readers[0].probe.declared_duration or _FIRST_GUESS_SECONDS
        out = np.empty(int((min(seconds, _LARGEST_GUESS_SECONDS) + 1) * rate), np.float32)
        n = 0
        mono = mix_tracks(readers, [reader.blocks() for reader in readers], downmix)
        for block in resample(mono.blocks, mono.rate, rate):
            if n + len(block) > len(out):
                out.resize(max(n + len(block), len(out) * 3 // 2), refcheck=False)
            out[n : n + len(block)] = block
            n += len(block)
    out.resize(n, refcheck=False)
    return out
