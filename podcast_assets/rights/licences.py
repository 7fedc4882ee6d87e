"""Names of licences, and rules for their release.

Feeds and metadata name a licence by its SPDX id, by a link, or in words. The ids are those of https://spdx.org/licenses, which
podcast:license uses too (in lower case) and `packaging` knows. Creative Commons' links and names have a grammar of their own,
https://creativecommons.org/licenses/list.en. SPDX lists only some of them; ids such as `CC-BY-3.0-FR` follow its pattern. No I/O.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

PUBLIC_DOMAIN = "public-domain"

_PUBLIC_DOMAIN_IDS = frozenset({"cc0", "cc-pdm", "cc-pddc", "pddl", "licenseref-public-domain"})
_ELEMENTS = ("by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
_VERSION_AND_PORT = re.compile(r"-\d+(\.\d+)*(-[a-z]{2,3})?$")
_CC_URL = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/"
    r"(?:licenses/(?P<elements>[a-z-]+)(?:/(?P<version>\d\.\d)(?:/(?P<port>[a-z]{2,3}))?)?"
    r"|publicdomain/(?P<tool>zero|mark)(?:/1\.0)?)"
    r"(?:/(?:deed|legalcode)(?:\.[a-z_-]+)?)?/?"
)
_SPDX_URL = re.compile(r"https?://(?:www\.)?spdx\.org/licenses/(?P<id>[a-z0-9.+-]+?)(?:\.html|\.json)?/?")
_WORDS = (
    (r"creative\s*commons", "cc"),
    (r"non[\s-]*commercial", "nc"),
    (r"no[\s-]*deriv(?:ative|s|ative\s*work)s?", "nd"),
    (r"share[\s-]*alike", "sa"),
    (r"attribution", "by"),
    (r"public\s*domain\s*dedication", "zero"),
)
_FILLING = frozenset({"license", "licence", "licensed", "under", "the", "a", "public", "v", "version"})
_PORTS = {"": "", "international": "", "unported": "", "generic": "", "universal": "", "igo": "igo"}


@dataclass(frozen=True)
class Licence:
    """A known licence."""

    id: str
    """SPDX id, or an id of the same form if SPDX has none."""
    url: str | None
    """URL of its text."""


_CC0 = Licence("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/")
_PDM = Licence("CC-PDM-1.0", "https://creativecommons.org/publicdomain/mark/1.0/")


@functools.lru_cache(maxsize=4096)
def parse_licence(text: str | None) -> Licence | None:
    """Parse an id, a link or words to a licence; None if unknown.

    >>> parse_licence("http://creativecommons.org/licenses/by-sa/3.0/de/deed.de").id
    'CC-BY-SA-3.0-DE'
    >>> parse_licence("Creative Commons Attribution-NonCommercial 4.0 International").id
    'CC-BY-NC-4.0'
    """
    words = " ".join((text or "").split()).casefold().rstrip(".")
    if not words:
        return None
    if "://" in words:
        return _licence_by_link(words.partition("#")[0].partition("?")[0])
    return _licence_by_name(words) or _licence_by_spdx(words)


def _licence_by_link(url: str) -> Licence | None:
    if match := _SPDX_URL.fullmatch(url):
        return _licence_by_name(match["id"]) or _licence_by_spdx(match["id"])
    match = _CC_URL.fullmatch(url)
    if match is None:
        return None
    if match["tool"]:
        return _CC0 if match["tool"] == "zero" else _PDM
    if match["elements"] == "publicdomain":
        return _licence_by_spdx("CC-PDDC")
    return _creative_commons(match["elements"].split("-"), match["version"], match["port"])


def _licence_by_name(words: str) -> Licence | None:
    """Parse words or a Creative Commons id; None if any word is left over."""
    if words in ("public domain", "publicdomain", "public-domain"):
        return Licence("LicenseRef-Public-Domain", None)
    original = words
    for pattern, short in _WORDS:
        words = re.sub(pattern, f" {short} ", words)
    found = re.findall(r"v(?=\d)|\d+(?:\.\d+)*|[^\W\d_]+\d*|[^\s\w]", words)
    tokens = [t for t in found if t not in _FILLING and t not in ("(", ")", "-", "/", ",", ":")]
    if "cc0" in tokens or {"cc", "zero"} <= set(tokens):
        rest = set(tokens) - {"cc", "cc0", "zero", "1.0", "universal"}
        return None if rest else _CC0
    if words.split()[:1] == ["public"] or tokens[:2] == ["cc", "pdm"]:
        rest = set(tokens) - {"cc", "pdm", "domain", "mark", "1.0"}
        return None if rest else _PDM
    elements = [t for t in tokens if t in ("by", "nc", "nd", "sa")]
    versions = [t for t in tokens if re.fullmatch(r"\d\.\d", t)]
    ports = [t for t in tokens if t not in ("cc", *elements, *versions)]
    is_creative_commons = "cc" in tokens or "attribution" in original or (versions and len(elements) > 1)
    if not is_creative_commons or len(versions) > 1 or len(ports) > len(versions):
        return None
    port = ports[0] if ports else ""
    if port not in _PORTS and not re.fullmatch("[a-z]{2}", port):
        return None
    return _creative_commons(elements, versions[0] if versions else None, _PORTS.get(port, port))


def _creative_commons(elements: list[str], version: str | None, port: str | None) -> Licence | None:
    name = "-".join(e for e in ("by", "nc", "nd", "sa") if e in elements)
    if name not in _ELEMENTS or len(elements) != len(set(elements)):
        return None
    identity = "-".join(p for p in ("CC", name.upper(), version, (port or "").upper()) if p)
    link = f"https://creativecommons.org/licenses/{name}/{version}/" + (f"{port}/" if port else "")
    return Licence(identity, link if version else None)


def _licence_by_spdx(words: str) -> Licence | None:
    try:
        identity = canonicalize_license_expression(words)
    except InvalidLicenseExpression:
        return None
    single = " " not in identity and not identity.startswith("LicenseRef-")
    return Licence(identity, f"https://spdx.org/licenses/{identity}.html" if single else None)


def licence_family(identity: str) -> str:
    """Family of a licence, without version and country: `cc-by-sa` for `CC-BY-SA-3.0-DE`."""
    return _VERSION_AND_PORT.sub("", identity.lower())


def is_public_domain(licence: Licence) -> bool:
    """Whether a licence waives all rights or states that there are none."""
    return licence_family(licence.id) in _PUBLIC_DOMAIN_IDS


@dataclass(frozen=True)
class LicenceRules:
    """Licences that a release may contain."""

    allowed: frozenset[str]
    """Lower-case ids, families (`cc-by`), `public-domain`, `*`, or the words of an agreement as in a list of feeds."""
    agreed_feeds: frozenset[str] = frozenset()
    """Displayed names of feeds whose publishers agreed although they block others."""

    @classmethod
    def of(cls, setting: str, agreed_feeds: Iterable[str] = ()) -> "LicenceRules":
        """Parse PODCAST_LICENSES, separated by commas."""
        names = (" ".join(name.split()).casefold() for name in setting.split(","))
        return cls(frozenset(n for n in names if n), frozenset(agreed_feeds))

    def unknown(self, declared: Iterable[str]) -> list[str]:
        """Entries that are neither a known licence nor declared by any episode: future agreements, or mistyped.

        Args:
            declared: declared licences of episodes.
        """
        declared_names = {" ".join(text.split()).casefold() for text in declared}
        return sorted(e for e in self.allowed - declared_names if e != "*" and parse_licence(e) is None)

    def allow(self, licence: Licence | None, text: str) -> bool:
        """Whether content under a licence may be released.

        Args:
            licence: parsed licence; None if it is unknown.
            text: declared text of the licence.
        """
        if "*" in self.allowed or " ".join(text.split()).casefold() in self.allowed:
            return True
        if licence is None:
            return False
        if PUBLIC_DOMAIN in self.allowed and is_public_domain(licence):
            return True
        return bool({licence.id.lower(), licence_family(licence.id)} & self.allowed)
