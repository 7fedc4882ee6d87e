"""All that a file holds is read: wrong sizes in headers, joined files, tags in the middle. What is cut off is still refused."""

import io
import struct

import numpy as np
import pytest
import soundfile

from podcast_assets.audio.decode import decode
from podcast_assets.audio.errors import EmptyAudio, TruncatedAudio
from podcast_assets.audio.ingest import WorkingAudio, make_working_audio
from podcast_assets_tests.audio.spliced import RATE, Samples, cover, encoded, found_at, id3, noise

LOW = 8_000
SIGNAL = noise(9, 1, LOW)
OTHER = noise(5, 2, LOW)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf60.16.100\0"
ID3V1 = b"TAG" + b"A title".ljust(30, b"\0") + b"A name".ljust(30) + bytes(64) + b"\x0c"


def made(data: bytes) -> WorkingAudio:
    return make_working_audio(data, io.BytesIO())


def messages(audio: WorkingAudio) -> list[str]:
    return [w.message for w in audio.warnings if w.kind == "wrong_header"]


def pcm(samples: Samples, form: str = "WAV", rate: int = LOW) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=form, subtype="PCM_16")
    return buffer.getvalue()


def patched(data: bytes, mark: bytes, value: int, form: str, offset: int = 4) -> bytes:
    at = data.index(mark) + offset
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


WAV = pcm(SIGNAL)
WRONG = {
    "nothing (dead recorder)": patched(WAV, b"data", 0, "<I"),
    "all ones": patched(WAV, b"data", 2**32 - 1, "<I"),
    "too little": patched(WAV, b"data", 20_000, "<I"),
    "too little, twice": patched(patched(WAV, b"data", 20_000, "<I"), b"RIFF", 20_036, "<I"),
    "too little, with chunks": patched(WAV, b"data", 20_000, "<I") + LIST,
    "RF64": patched(pcm(SIGNAL, "RF64"), b"ds64", 1_000, "<Q", 16),
    "RF64, nothing": patched(pcm(SIGNAL, "RF64"), b"ds64", 0, "<Q", 16),
    "AIFF": patched(pcm(SIGNAL, "AIFF"), b"SSND", 1_000, ">I"),
    "AIFF, nothing": patched(pcm(SIGNAL, "AIFF"), b"SSND", 8, ">I"),
    "W64": patched(pcm(SIGNAL, "W64"), b"data\xf3", 1_000, "<Q", 16),
    "CAF": patched(pcm(SIGNAL, "CAF"), b"data", 1_000, ">q"),
}


@pytest.mark.parametrize("case", WRONG)
def test_all_audio_is_read_where_the_header_says_less(case: str) -> None:
    audio = made(WRONG[case])
    assert audio.duration == pytest.approx(9, abs=0.001)
    assert messages(audio) == ["its header gives a wrong size of the audio; all that the file holds was read"]
    samples = decode(WRONG[case], rate=LOW)
    np.testing.assert_allclose(samples, SIGNAL[: len(samples)], atol=1e-3)


RIGHT = {
    "nothing more": WAV,
    "a chunk": WAV + LIST,
    "a chunk of odd size": WAV + b"LIST" + struct.pack("<I", 7) + b"INFOabc\0",
    "without its padding": WAV + b"LIST" + struct.pack("<I", 7) + b"INFOabc",
    "a chunk that is cut off": WAV + LIST[:-9],
    "zeros": WAV + bytes(5_000),
    "an ID3v2 tag": WAV + cover(5_000),
    "an ID3v1 tag": WAV + ID3V1,
    "AIFF with a chunk": pcm(SIGNAL, "AIFF") + b"ANNO" + struct.pack(">I", 4) + b"text",
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_lies_behind_the_audio_is_not_read_as_audio(case: str) -> None:
    audio = made(RIGHT[case])
    assert (audio.samples, audio.warnings) == (9 * 16_000, ())


def test_a_recorder_that_died_before_the_first_sample() -> None:
    with pytest.raises(EmptyAudio):
        decode(patched(pcm(SIGNAL[:0]), b"data", 0, "<I") + LIST)


JOINED = {
    "wav": pcm,
    "rf64": lambda s: pcm(s, "RF64"),
    "aiff": lambda s: pcm(s, "AIFF"),
    "w64": lambda s: pcm(s, "W64"),
    "caf": lambda s: pcm(s, "CAF"),
    "au": lambda s: pcm(s, "AU"),
    "flac": lambda s: pcm(s, "FLAC"),
    "m4a": lambda s: encoded(s, "mp4", "aac", rate=LOW),
    "mov": lambda s: encoded(s, "mov", "pcm_s16le", rate=LOW),
    "mkv": lambda s: encoded(s, "matroska", "flac", rate=LOW),
    "live mkv": lambda s: encoded(s, "matroska", "pcm_s16le", {"live": "1"}, rate=LOW),
    "flv": lambda s: encoded(s, "flv", "aac", rate=LOW),
    "avi": lambda s: encoded(s, "avi", "pcm_s16le", rate=LOW),
    "asf": lambda s: encoded(s, "asf", "aac", rate=LOW),
    "mu-law": lambda s: encoded(s, "wav", "pcm_mulaw", rate=LOW),
}
"""Name → encoder of a file that has a header."""


@pytest.mark.parametrize("kind", JOINED)
def test_joined_files_are_read_one_after_the_other(kind: str) -> None:
    data = JOINED[kind](SIGNAL) + JOINED[kind](OTHER)
    audio = made(data)
    assert audio.duration == pytest.approx(14, abs=0.03)
    assert len(messages(audio)) == 1
    samples = decode(data, rate=LOW)
    assert found_at(samples, OTHER[LOW : 2 * LOW], LOW) == pytest.approx(10, abs=0.02)


@pytest.mark.parametrize("kind", [k for k in JOINED if k not in ("live mkv", "asf", "flac")])
def test_a_joined_file_that_is_cut_off_is_refused(kind: str) -> None:
    data = JOINED[kind](SIGNAL) + JOINED[kind](OTHER)
    with pytest.raises(TruncatedAudio):
        decode(data[: -len(JOINED[kind](OTHER)) // 2])


def test_joined_files_of_other_rates_and_channels() -> None:
    data = WAV + pcm(np.stack([np.repeat(OTHER, 2)] * 2, axis=1), rate=2 * LOW) + patched(WAV, b"data", 0, "<I") + WAV
    assert made(data).duration == pytest.approx(9 + 5 + 9 + 9, abs=0.001)


@pytest.mark.parametrize("codec", ["adpcm_ima_wav", "adpcm_ms", "adpcm_yamaha", "libmp3lame"])
def test_wav_of_compressed_audio_is_whole_whatever_its_byte_rate(codec: str) -> None:
    signal = noise(5, 3)
    for factor in (1.0, 1.4):
        data = encoded(signal, "wav", codec)
        byte_rate = struct.unpack_from("<I", data, 28)[0]
        data = data[:28] + struct.pack("<I", round(byte_rate * factor)) + data[32:]
        audio = made(data)
        assert audio.duration == pytest.approx(5, abs=0.045)
        assert not audio.warnings
        with pytest.raises(TruncatedAudio, match=r"ends after 2\.\d s of the [45]\.\d s"):
            decode(data[: len(data) // 2])


MP3 = encoded(noise(6, 4), "mp3", "libmp3lame")
MP3_OTHER = encoded(noise(4, 5), "mp3", "libmp3lame")
ADTS = encoded(noise(4, 6), "adts", "aac")


def ape(body: bytes, *, header: bool = True) -> bytes:
    """An APE tag with one binary item."""
    item = struct.pack("<II", len(body), 2) + b"Cover Art (Front)\0" + body

    def edge(flags: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII", 2000, len(item) + 32, 1, flags) + bytes(8)

    return (edge(0xA000_0000) if header else b"") + item + edge(0x8000_0000 if header else 0)


IMAGE = cover(300_000, 7)
TAGS = {
    "ID3v2": IMAGE,
    "ID3v2, twice": IMAGE + cover(50_000, 8),
    "ID3v1": ID3V1,
    "ID3v1 and ID3v2": ID3V1 + IMAGE,
    "APEv2": ape(IMAGE[30:]),
    "APEv1": ape(IMAGE[30:], header=False),
    "Lyrics3": b"LYRICSBEGIN" + b"IND0000300\xff\xfb\x90\x44" * 300 + b"004211LYRICS200" + ID3V1,
}


@pytest.mark.parametrize("tag", TAGS)
def test_tags_in_an_mp3_are_no_audio(tag: str) -> None:
    plain = made(MP3 + MP3_OTHER).duration
    assert plain == pytest.approx(10, abs=0.08)
    samples = decode(MP3 + TAGS[tag] + MP3_OTHER, rate=RATE)
    assert len(samples) / RATE == pytest.approx(plain, abs=0.001)
    assert found_at(samples, noise(4, 5)[RATE : 2 * RATE]) == pytest.approx(7, abs=0.04)
    assert made(MP3 + TAGS[tag]).duration == pytest.approx(6, abs=0.001)
    if tag == "APEv1":  # lies at the end of files only
        return
    alone = decode(TAGS[tag] + MP3, rate=RATE)
    assert len(alone) / RATE == pytest.approx(6, abs=0.001)
    assert found_at(alone, noise(6, 4)[RATE : 2 * RATE]) == pytest.approx(1, abs=0.001)


def test_tags_in_an_adts_stream_are_no_audio() -> None:
    assert made(ADTS + IMAGE + ADTS).duration == made(ADTS + ADTS).duration
    assert made(IMAGE + ADTS).duration == made(ADTS).duration


def test_audio_that_looks_like_a_tag_is_kept() -> None:
    at = len(MP3) // 2
    for mark in (b"ID3\x04\0\0\0\0\x02\0", b"TAG" + bytes(range(30)), b"APETAGEX", b"Info", b"LYRICSBEGIN"):
        samples = decode(MP3[:at] + mark + MP3[at + len(mark) :], rate=RATE)
        assert len(samples) / RATE == pytest.approx(6, abs=0.03)


@pytest.mark.parametrize("wrong", [1.4, 0.6])
def test_an_mp3_is_whole_where_its_bytes_agree(wrong: float) -> None:
    at = MP3.index(b"Info" if b"Info" in MP3[:3000] else b"Xing") + 8
    frames = struct.unpack_from(">I", MP3, at)[0]
    data = MP3[:at] + struct.pack(">I", round(frames * wrong)) + MP3[at + 4 :]
    audio = made(data)
    assert audio.duration == pytest.approx(6, abs=0.03)
    assert "header declares" in messages(audio)[0]
    with pytest.raises(TruncatedAudio):
        decode((data if wrong > 1 else MP3)[: len(MP3) // 2])


def test_an_mp3_with_a_vbri_header() -> None:
    bare = encoded(noise(6, 4), "mp3", "libmp3lame", {"write_xing": "0", "id3v2_version": "0"})
    frames = made(bare).duration * RATE / 1152

    def header(count: float) -> bytes:
        head = bytearray(bare[:4] + bytes(413))
        head[36:54] = b"VBRI" + struct.pack(">HHHII", 1, 0, 75, len(bare) + 417, round(count))
        return bytes(head)

    assert made(header(frames) + bare).duration == pytest.approx(6, abs=0.06)
    assert made(header(1.4 * frames) + bare).duration == pytest.approx(6, abs=0.06)
    with pytest.raises(TruncatedAudio):
        decode((header(frames) + bare)[: len(bare) // 2])


@pytest.mark.parametrize(("container", "codec"), [("asf", "wmav2"), ("avi", "libmp3lame"), ("flv", "libmp3lame")])
def test_containers_that_declare_their_bytes_are_refused_when_cut_off(container: str, codec: str) -> None:
    data = encoded(noise(6, 9), container, codec)
    assert made(data).duration == pytest.approx(6, abs=0.06)
    with pytest.raises(TruncatedAudio, match=r"ends after 3\.\d s of the [56]\.\d s"):
        decode(data[: len(data) * 55 // 100])


def test_a_film_of_which_the_header_declares_more_is_whole_where_its_bytes_agree() -> None:
    data = encoded(SIGNAL, "mp4", "aac", rate=LOW)
    at = data.index(b"mdhd") + 20
    longer = data[:at] + struct.pack(">I", round(struct.unpack_from(">I", data, at)[0] * 1.5)) + data[at + 4 :]
    assert made(longer).duration == pytest.approx(9, abs=0.05)


def test_an_empty_id3_tag_does_no_harm() -> None:
    assert made(id3(b"") + MP3).duration == pytest.approx(6, abs=0.001)
