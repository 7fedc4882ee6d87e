# ruff: noqa: RUF001 (letters of many scripts)
"""E-mail addresses in texts, written and spoken: "jane at example dot org". Websites, and "at" and "point" as words, are not."""

import re

_WRITTEN = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DOT = r"(?: (?:dot|punkt|point|punto|ponto|punt|kropka|точка) |\.| \. )"
_AT_SIGN = "ät|klammeraffe|arobase|arroba|chiocciola|apenstaartje|małpa|собака"
"""Spoken names of the sign @, except "at", which is also an ordinary word."""
_END = r"(?!\w|[-.]\w)"
_TOP_LEVEL = (
    "com|org|net|edu|gov|info|biz|io|co|eu|tv|fm|app|dev|ai|club|online|shop|de|ch|fr|es|pl|pt|nl|se|dk|fi|cz|gr|hu|ro|ua|ru|tr|br|mx|ar|cl|"
    "uk|ie|au|nz|ca|us|jp|cn|kr|za"
)
"""Top-level domains that are not English words."""
_SPOKEN = re.compile(
    rf"(?<!\w)[\w.+-]+(?: ?@ ?| (?:{_AT_SIGN}) )[\w-]+(?:{_DOT}[\w-]+)*{_DOT}(?:{_TOP_LEVEL}|it|be|at|no|in|ру|рф|ком){_END}",
    re.IGNORECASE,
)
_AT = re.compile(
    rf"\b(?P<name>[\w.+-]+) at (?P<host>[\w-]+)(?:{_DOT}[\w-]+)*{_DOT}(?:{_TOP_LEVEL}){_END}", re.IGNORECASE
)
_HOSTS = frozenset(
    "gmail googlemail hotmail outlook yahoo icloud proton protonmail gmx web aol posteo mailbox fastmail yandex".split()
)
"""Hosts of mailboxes rather than websites."""
_MAILBOXES = frozenset(
    "info contact hello support press feedback office mail team questions listeners editor podcast".split()
)
_NO_NAMES = frozenset(
    "a an the i me you him her it us them we he she they this that these those one up out over back down here there online more "
    "is are was were be been look looked looking find found visit live available website site page store shop tickets everything "
    "all work works worked working".split()
)
_NO_HOSTS = frozenset("a an the this that some any my our your his her their its every each another one polka".split())
_CUE = re.compile(
    r"\b(?:e-?mail\w*|mail\w*|write|wrote|writing|send|sent|address|reach|contact|drop|message|schreib\w*|adresse|écri\w*|escrib\w*|"
    r"correo|escreva\w*|scriv\w*|napisz\w*|пиш\w*|почт\w*)\b",
    re.IGNORECASE,
)
_BEFORE = 80
"""Characters before a spoken address that are searched for a cue."""
SUSPECT = rf"(?i)@|\b(?:at|{_AT_SIGN})\b.*(?:\.|dot|punkt|point|punto|ponto|punt|kropka|точка)"
"""Fast pre-filter for polars: matches every text that contains an address."""


def contains_email(text: str) -> bool:
    """Return whether a text seems to contain an e-mail address.

    A spoken one needs a spoken "dot", or a full stop without space, and a top-level domain. If only "at" distinguishes it
    from a website, it needs a typical name ("info"), a host of mailboxes ("gmail"), or a mention of mail before it.
    """
    if _WRITTEN.search(text) or _SPOKEN.search(text):
        return True
    return any(_is_address(text, found) for found in _AT.finditer(text))


def _is_address(text: str, found: re.Match[str]) -> bool:
    name, host = found["name"].lower(), found["host"].lower()
    if name in _NO_NAMES or host in _NO_HOSTS:
        return False
    cue = _CUE.search(text, max(0, found.start() - _BEFORE), found.start())
    return name in _MAILBOXES or host in _HOSTS or cue is not None
