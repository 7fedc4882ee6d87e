"""Names of files: what they say about the content, and the ids of episodes. Where a name says nothing certain, the bytes decide."""

import re
from collections.abc import Collection
from pathlib import PurePosixPath

from podcast_assets.intake.names import is_hidden, normalize, slug

MEDIA_SUFFIXES = frozenset(
    (
        ".3g2 .3gp .aac .ac3 .adts .aif .aifc .aiff .alac .amr .ape .asf .au .avi .bwf .caf .dsf .eac3 .ec3 .f4a .f4v "
        ".flac .flv .m2t .m2ts .m4a .m4b .m4r .m4v .mka .mkv .mov .mp1 .mp2 .mp3 .mp4 .mpa .mpeg .mpg .mpga .mts .oga "
        ".ogg .ogv .opus .ra .rf64 .rm .rmvb .snd .spx .ts .tta .vob .voc .w64 .wav .wave .weba .webm .wma .wmv .wv"
    ).split()
)
"""Suffixes of audio and video. Decoding decides what such a file really is."""

_OTHER_SUFFIXES = frozenset(
    (
        ".ass .avif .bat .bmp .cfg .conf .css .ctm .cue .db .dll .doc .docx .epub .exe .gif .heic .heif .htm .html .ico "
        ".ini .ipynb .jpeg .jpg .js .json .lnk .log .lrc .m3u .m3u8 .md .md5 .nfo .npy .npz .odp .ods .odt .opml .pdf "
        ".pls .png .ppt .pptx .py .pyc .rss .rst .rtf .rttm .sfv .sh .sha1 .sha256 .sqlite .srt .ssa .stm .svg .tex "
        ".textgrid .tif .tiff .toml .torrent .txt .url .vtt .webloc .webp .xls .xlsx .xml .yaml .yml"
    ).split()
)
"""Suffixes that are certainly not of audio or video: texts, pictures, subtitles, playlists, checksums, programs."""
_SYSTEM_NAMES = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"}
)
"""Names of files and folders that systems leave behind, in lower case."""
_QUERY = re.compile(r"(?P<name>.+\.\w{2,5})(?:[?#]|%3[fF]).*", re.DOTALL)


def split_name(name: str) -> tuple[str, str]:
    """Split the last part of a name into its stem, in NFC, and its suffix in lower case.

    The query of a URL that a downloader left in the name, as in `talk.mp3?token=1`, belongs to neither.
    """
    path = PurePosixPath(name)
    if (match := _QUERY.fullmatch(path.name)) and (
        inner := PurePosixPath(match["name"])
    ).suffix.lower() in MEDIA_SUFFIXES:
        path = inner
    return normalize(path.stem), path.suffix.lower().rstrip()


def reason_to_skip(name: str, wanted: Collection[str]) -> str | None:
    """Reason why a file is not read at all: its name is hidden, of a system, or of something other than audio; else None.

    Args:
        name: name of the file in its batch.
        wanted: suffixes of other files that are read.
    """
    if is_hidden(name):
        return "a hidden file"
    if any(part.lower() in _SYSTEM_NAMES for part in name.split("/")):
        return "a file of the system that made the folder"
    suffix = split_name(name)[1]
    if suffix in _OTHER_SUFFIXES and suffix not in wanted:
        return "neither audio, video nor metadata by its name"
    return None


def file_episode_id(source: str, sha256: str) -> str:
    """Id of an episode that arrived as a file: stable for the same bytes and name, without dots and slashes."""
    return f"{slug(split_name(source)[0])}-{sha256[:12]}"
