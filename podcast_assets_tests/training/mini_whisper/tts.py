"""Speech from text with exact word times, by espeak-ng and flite through ctypes.

Needs the shared libraries of the Debian packages `espeak-ng` and `flite`. Both keep state (noise generators) between
requests: the same *sequence* of requests in a fresh process gives the same bytes. Neither is thread-safe.
"""

import ctypes as c
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Speech:
    """Mono float32 audio in [-1, 1], its rate in Hz, and (word, start, end) in seconds."""

    audio: npt.NDArray[np.float32]
    rate: int
    words: list[tuple[str, float, float]]


def _as_float(pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    return np.divide(pcm, 32768, dtype=np.float32)


# ---- espeak-ng: constants and structures of speak_lib.h ----

AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
POS_CHARACTER = 1
PARAMETER_RATE, PARAMETER_PITCH = 1, 3
EVENT_LIST_TERMINATED, EVENT_WORD, EVENT_END = 0, 1, 5


class _EventId(c.Union):
    _fields_ = [("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8)]


class _Event(c.Structure):
    _fields_ = [
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _EventId),
    ]


_SynthCallback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))


class Espeak:
    """espeak-ng. A voice is a language, optionally with a variant: "en-us", "en-us+f4"."""

    def __init__(self) -> None:
        self._lib = c.CDLL("libespeak-ng.so.1")
        self._rate = self._lib.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, None, 0)
        self._chunks: list[npt.NDArray[np.int16]] = []
        self._events: list[tuple[int, int, int, float]] = []
        self._callback = _SynthCallback(self._collect)  # kept: ctypes does not hold a reference
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, wav: Any, n: int, events: Any) -> int:
        if wav and n > 0:
            self._chunks.append(np.ctypeslib.as_array(wav, (n,)).copy())
        i = 0
        while events[i].type != EVENT_LIST_TERMINATED:
            e = events[i]
            self._events.append((e.type, e.text_position, e.length, e.audio_position / 1000))
            i += 1
        return 0

    def synth(self, text: str, voice: str = "en-us", rate: int = 175, pitch: int = 50) -> Speech:
        """Speak `text` at `rate` words per minute and `pitch` 0 to 100.

        Raises:
            ValueError: there is no such voice.
        """
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        self._lib.espeak_SetParameter(PARAMETER_RATE, rate, 0)
        self._lib.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
        self._chunks, self._events = [], []
        data = text.encode()
        self._lib.espeak_Synth(data, len(data) + 1, 0, POS_CHARACTER, 0, CHARS_UTF8, None, None)
        audio = _as_float(np.concatenate(self._chunks))

        starts = [(at, text[pos - 1 : pos - 1 + n]) for kind, pos, n, at in self._events if kind == EVENT_WORD]
        finish = [at for kind, _, _, at in self._events if kind == EVENT_END]
        ends = [at for at, _ in starts[1:]] + [finish[-1] if finish else len(audio) / self._rate]
        return Speech(audio, self._rate, [(word, at, end) for (at, word), end in zip(starts, ends, strict=True)])


# ---- flite ----

FLITE_VOICES = {"slt": "cmu_us_slt", "rms": "cmu_us_rms", "awb": "cmu_us_awb", "kal16": "cmu_us_kal16"}


class _Wave(c.Structure):
    _fields_ = [
        ("type", c.c_char_p),
        ("sample_rate", c.c_int),
        ("num_samples", c.c_int),
        ("num_channels", c.c_int),
        ("samples", c.POINTER(c.c_short)),
    ]


class Flite:
    """flite, with the voices of FLITE_VOICES."""

    def __init__(self) -> None:
        self._lib = _load_flite()
        self._voices: dict[str, int] = {}
        for name, symbol in FLITE_VOICES.items():
            register = getattr(c.CDLL(f"libflite_{symbol}.so.1", mode=c.RTLD_GLOBAL), f"register_{symbol}")
            register.restype, register.argtypes = c.c_void_p, [c.c_void_p]
            self._voices[name] = register(None)

    def synth(self, text: str, voice: str = "slt", stretch: float = 1.0) -> Speech:
        """Speak `text`; `stretch` above 1 is slower."""
        lib, handle = self._lib, self._voices[voice]
        # struct cst_voice begins with its name, then its features
        features = c.cast(handle + c.sizeof(c.c_void_p), c.POINTER(c.c_void_p))[0]
        lib.feat_set_float(features, b"duration_stretch", stretch)
        utterance = lib.flite_synth_text(text.encode(), handle)
        try:
            wave = lib.utt_wave(utterance).contents
            audio = _as_float(np.ctypeslib.as_array(wave.samples, (wave.num_samples,)))
            return Speech(audio, wave.sample_rate, self._words(utterance))
        finally:
            lib.delete_utterance(utterance)

    def _words(self, utterance: int) -> list[tuple[str, float, float]]:
        """Join the times of an utterance's phones into words; pauses belong to no word."""
        lib = self._lib
        words: list[tuple[str, float, float]] = []
        current, start = None, 0.0
        phone = lib.relation_head(lib.utt_relation(utterance, b"Segment"))
        while phone:
            end = lib.item_feat_float(phone, b"end")
            word = lib.path_to_item(phone, b"R:SylStructure.parent.parent")
            name = lib.ffeature_string(phone, b"R:SylStructure.parent.parent.name").decode()
            if not word or name == "0":
                current = None
            elif word == current:
                words[-1] = (name, words[-1][1], end)
            else:
                words.append((name, start, end))
                current = word
            start = end
            phone = lib.item_next(phone)
        return words


def _load_flite() -> c.CDLL:
    """Load the library, its language and lexicon, and declare the functions: ctypes would cut pointers to 32 bits."""
    lib = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
    for part in ("usenglish", "cmulex"):
        c.CDLL(f"libflite_{part}.so.1", mode=c.RTLD_GLOBAL)
    pointer, string = c.c_void_p, c.c_char_p
    signatures = {
        "flite_synth_text": (pointer, [string, pointer]),
        "utt_wave": (c.POINTER(_Wave), [pointer]),
        "utt_relation": (pointer, [pointer, string]),
        "relation_head": (pointer, [pointer]),
        "item_next": (pointer, [pointer]),
        "item_feat_float": (c.c_float, [pointer, string]),
        "ffeature_string": (string, [pointer, string]),
        "path_to_item": (pointer, [pointer, string]),
        "feat_set_float": (None, [pointer, string, c.c_float]),
        "delete_utterance": (None, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.flite_init()
    return lib
