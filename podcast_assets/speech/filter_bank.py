"""Kaldi's log-mel filter bank, which networks of several engines take."""

import numpy as np
import numpy.typing as npt

from podcast_assets.speech.types import SAMPLE_RATE, Samples

MELS = 80


def log_mels(samples: Samples, *, snip_edges: bool = True, high_freq: float = 0.0) -> npt.NDArray[np.float32]:
    """Compute frames of 25 ms every 10 ms, without dither, shape (frames, MELS).

    Args:
        samples: shape (n,), at SAMPLE_RATE; the scale is that which the network was trained with.
        snip_edges: whether only frames count that lie within the samples; otherwise there is one for every 10 ms.
        high_freq: upper limit of the filters in Hz; 0 or less counts down from half the sample rate.

    Raises:
        ValueError: the samples are shorter than a frame.
    """
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0.0  # noise would make results differ from run to run
    options.frame_opts.snip_edges = snip_edges
    options.mel_opts.num_bins = MELS
    options.mel_opts.high_freq = high_freq
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(SAMPLE_RATE, samples.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(i) for i in range(bank.num_frames_ready)])
