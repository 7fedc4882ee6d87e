"""MDX-Net: stereo chunks to spectrograms, through a network, and back, after KUIELab-MDX-Net (arXiv 2111.12203, kuielab/mdx-net).

The network sees the complex short-time spectrum of a chunk as an image of four channels (left real, left imaginary, right real,
right imaginary) and predicts that of one source. Everything around it is here, on the CPU, in float32.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.fft

from podcast_assets.audio.separators.separation import Chunking, Stereo, process_in_chunks

Float = npt.NDArray[np.float32]
Predicts = Literal["voice", "accompaniment"]


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """Short-time Fourier transform of a network's training: centred frames, periodic Hann window."""

    n_fft: int
    """Samples of a frame; even, and at least twice `hop`."""
    hop: int
    """Samples from one frame to the next."""
    bins: int
    """Lowest frequencies that the network sees; it predicts silence above them."""
    frames: int
    """Frames of a chunk."""

    def __post_init__(self) -> None:
        if self.n_fft % 2 or self.n_fft < 2 * self.hop:
            raise ValueError(f"n_fft is {self.n_fft}: it must be even, and at least twice the hop of {self.hop}")
        if self.bins > self.n_fft // 2 + 1:
            raise ValueError(f"n_fft is {self.n_fft}, which has fewer than the {self.bins} frequencies of the network")
        if self.length <= self.n_fft // 2:
            raise ValueError(f"n_fft is {self.n_fft}, too long for {self.frames} frames with a hop of {self.hop}")

    @property
    def length(self) -> int:
        """Number of samples of a chunk."""
        return self.hop * (self.frames - 1)

    @property
    def window(self) -> Float:
        """Hann window, shape (n_fft,)."""
        return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_fft) / self.n_fft)).astype(np.float32)

    def analyse(self, waves: Float) -> Float:
        """Convert chunks of shape (batch, length, 2) to spectra (batch, 4, bins, frames); chunks are mirrored at both ends."""
        side = self.n_fft // 2
        padded = np.pad(waves.swapaxes(1, 2), ((0, 0), (0, 0), (side, side)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft, axis=2)[:, :, :: self.hop]
        spectra = np.asarray(scipy.fft.rfft(windows * self.window, axis=3), np.complex64)
        seen = spectra[..., : self.bins].swapaxes(2, 3)
        image = np.stack([seen.real, seen.imag], axis=2)
        return image.reshape(len(waves), 4, self.bins, self.frames)

    def synthesize(self, image: Float) -> Float:
        """Invert `analyse`: add overlapping frames, and divide by the sum of their squared windows.

        The result is the signal nearest to the spectra (Griffin and Lim 1984, equation 6).
        """
        parts = image.reshape(len(image), 2, 2, self.bins, self.frames).swapaxes(3, 4)
        spectra = np.zeros((len(image), 2, self.frames, self.n_fft // 2 + 1), np.complex64)
        spectra.real[..., : self.bins], spectra.imag[..., : self.bins] = parts[:, :, 0], parts[:, :, 1]
        window = self.window
        windows = np.asarray(scipy.fft.irfft(spectra, self.n_fft, axis=3), np.float32) * window
        waves = np.zeros((len(image), 2, self.length + self.n_fft), np.float32)
        weight = np.zeros(self.length + self.n_fft, np.float32)
        for frame in range(self.frames):
            span = slice(frame * self.hop, frame * self.hop + self.n_fft)
            waves[:, :, span] += windows[:, :, frame]
            weight[span] += window**2
        side = self.n_fft // 2
        inner = slice(side, side + self.length)
        return np.asarray(waves[:, :, inner] / weight[inner], np.float32).swapaxes(1, 2)


@dataclass(frozen=True)
class MdxSeparator:
    """Separator with a loaded MDX-Net in ONNX Runtime."""

    name: str
    session: Any
    """`onnxruntime.InferenceSession` of a graph from (batch, 4, bins, frames) to the same shape, float32."""
    spectrogram: Spectrogram
    chunking: Chunking
    predicts: Predicts
    compensate: float
    """Factor of a predicted accompaniment before it is subtracted from the mix (UVR's volume compensation)."""
    denoise: bool
    batch_size: int

    def voice(self, chunks: Iterable[Stereo]) -> Iterator[Stereo]:
        """Implement `Separator.voice`. Memory holds `batch_size` chunks and their spectrograms."""
        return process_in_chunks(chunks, self.chunking, self._separate_batch, self.batch_size)

    def _separate_batch(self, waves: Float) -> Float:
        image = self.spectrogram.analyse(waves)
        predicted = self._run_network(image)
        if self.denoise:
            predicted = 0.5 * (predicted - self._run_network(-image))
        source = self.spectrogram.synthesize(predicted)
        if self.predicts == "voice":
            return source
        return np.asarray(waves - self.compensate * source, np.float32)

    def _run_network(self, image: Float) -> Float:
        return self.session.run(None, {self.session.get_inputs()[0].name: image})[0]
