"""Working audio of long recordings, decoded where it is needed instead of being held in memory."""

import os
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podcast_assets.audio.errors import EmptyAudio, NotAudio
from podcast_assets.audio.working import FULL_SCALE, WORKING_RATE

_BLOCK = 60 * WORKING_RATE
"""Samples decoded at once, 1.9 MB: readers go through a recording in slices of a few seconds that overlap."""
_BLOCKS_HELD = 4
"""Blocks in memory: a recognizer cuts one window while it computes the features of the one before."""


class WorkingFile:
    """Working audio of which slices are decoded from its file, as float32 samples of shape (n,). Thread-safe.

    The file stays open, so that it may be removed meanwhile.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and decode all of it once, so that damage is found before anybody works on the audio.

        Raises:
            NotAudio: the file is not working audio, or cannot be read to its end.
            EmptyAudio: it has no samples.
            OSError: the path cannot be opened.
        """
        import soundfile

        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, npt.NDArray[np.int16]] = OrderedDict()
        # libsndfile reads a descriptor itself; it would call Python for each piece of a file object
        with path.open("rb", buffering=0) as file:
            if not os.fstat(file.fileno()).st_size:
                raise EmptyAudio("is an empty file (0 bytes)")
            try:
                self._file = soundfile.SoundFile(os.dup(file.fileno()), closefd=True)
            except soundfile.LibsndfileError as error:
                raise NotAudio(f"is not working audio that can be read ({error.error_string})") from None
        if (self._file.samplerate, self._file.channels) != (WORKING_RATE, 1):
            raise NotAudio(f"is not working audio: {self._file.samplerate} Hz and {self._file.channels} channels")
        self._samples: int = self._file.frames
        if not self._samples:
            raise EmptyAudio("is working audio without any audio in it")
        self._read_all()

    def __len__(self) -> int:
        """Return the number of samples."""
        return self._samples

    def __getitem__(self, part: slice) -> npt.NDArray[np.float32]:
        """Decode a slice.

        Raises:
            OSError: the file was changed since it was opened.
        """
        first, last, step = part.indices(self._samples)
        found = np.empty(max(0, last - first), np.float32)
        at = first
        while at < last:
            number, within = divmod(at, _BLOCK)
            piece = self._block(number)[within : within + last - at]
            found[at - first : at - first + len(piece)] = piece
            at += len(piece)
        found /= np.float32(FULL_SCALE)
        return found[::step]

    def _block(self, number: int) -> npt.NDArray[np.int16]:
        with self._lock:
            if (block := self._blocks.get(number)) is None:
                if self._file.tell() != number * _BLOCK:
                    self._file.seek(number * _BLOCK)
                block = np.asarray(self._file.read(_BLOCK, dtype="int16"), np.int16)
                if len(block) != min(_BLOCK, self._samples - number * _BLOCK):
                    raise OSError("working audio was changed while it was read")
                self._blocks[number] = block
                if len(self._blocks) > _BLOCKS_HELD:
                    self._blocks.popitem(last=False)
            self._blocks.move_to_end(number)
            return block

    def _read_all(self) -> None:
        import soundfile

        buffer, count = np.empty(_BLOCK, np.int16), 0
        try:
            while found := len(self._file.read(out=buffer)):
                count += found
            self._file.seek(0)
        except soundfile.LibsndfileError as error:
            raise NotAudio(f"is not working audio that can be read ({error.error_string})") from None
        if count != self._samples:
            raise NotAudio(f"is working audio that ends after {count} of {self._samples} samples")
