"""Detection of downloads that are not audio: pages, playlists and error messages with status 200."""

import re

HEAD = 1_024
"""Number of leading bytes to inspect."""

_PAGE = re.compile(
    rb"(<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(!doctype html|html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p|!--)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Follows the WHATWG's table for text/html (https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type)."""
_OTHERS = {
    b"#EXTM3U": "a playlist",
    b"[playlist]": "a playlist",
    b"d8:announce": "a torrent",
    b"{\\rtf": "a text document",
    b"%PDF-": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"PK\x03\x04": "a zip archive",
    b"Rar!": "an archive",
    b"7z\xbc\xaf\x27\x1c": "an archive",
}
_WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)
_STILLS = re.compile(rb"....ftyp(avif|avis|heic|heix|mif1)", re.DOTALL)
"""Pictures in the containers of WAV and MP4."""
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
"""Bytes that do not occur in text (https://mimesniff.spec.whatwg.org/#binary-data-byte)."""


def describe_non_media(head: bytes, content_type: str | None) -> str | None:
    """Describe what was sent instead of audio or video; None if it may be audio or video.

    The bytes decide: many servers send audio as text, and pages as audio.

    Args:
        head: the first `HEAD` bytes, or fewer if the file is shorter.
        content_type: media type declared by the server.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _PAGE.match(text):
        return "an HTML page"
    if text.startswith((b"<?xml", b"<rss", b"<feed")):
        return "XML"
    if other := next((name for magic, name in _OTHERS.items() if text.startswith(magic)), None):
        return other
    if _WEBP.match(head) or _STILLS.match(head):
        return "a picture"
    if not _CONTROL.search(head) and (kind.startswith("text/") or kind.endswith(("json", "xml", "mpegurl"))):
        return f"text ({kind})"
    return None
