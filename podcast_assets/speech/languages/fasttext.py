"""Text language identification by a fastText model: lid.176 (.bin, .ftz), OpenLID, GlotLID, or another with language labels."""

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

from podcast_assets.common.errors import Misconfigured
from podcast_assets.engines.engine import hash_files
from podcast_assets.speech.languages.fasttext_file import find_defect

SETTING = "PODCAST_TEXT_LANGUAGE_MODEL"
INSTALL = "pip install 'podcast-assets[fasttext]'"
_LABELS = 10
"""Labels requested per text: members of a macrolanguage share its probability."""
_WIKIPEDIA = {"als": "gsw", "bh": "bho", "bat": "sgs", "eml": "egl", "fiu": "vro", "nah": "nci"}
"""Codes of Wikipedias that lid.176 uses as labels, and that mean something else or nothing in ISO 639."""
_WITHDRAWN = {"sh": "sr"}
"""Codes that were withdrawn from ISO 639-1, and their replacements."""


def check_model(model: Path) -> None:
    """Check that a model can be loaded, without loading it.

    Raises:
        Misconfigured: the package or the file is missing, or the file is not a complete fastText model.
    """
    _import_packages()
    if not model.is_file():
        raise Misconfigured(f"{SETTING}={model}: there is no such file; fetch a model such as lid.176.ftz, or unset it")
    if wrong := find_defect(model):
        raise Misconfigured(f"{SETTING}={model}: {wrong}")


def model_hash(model: Path) -> str:
    """Return the SHA-256 of the model's name and content."""
    return hash_files([model])


def classify(model: Path, text: str) -> tuple[str | None, float]:
    """Return the most probable language (ISO 639-1, else 639-3) and its probability; None if the model recognizes no word.

    Raises:
        Misconfigured: see `check_model`; or fastText cannot load the model.
    """
    loaded = _load_model(model, model.stat().st_mtime_ns if model.is_file() else None)
    line = " ".join(text.split())
    # models are trained on written text, in which sentences of capitals are rare
    labels, probabilities = loaded.predict(line.lower() if line.isupper() else line, k=_LABELS)
    found: Counter[str] = Counter()
    for label, probability in zip(labels, probabilities, strict=True):
        if code := language_of(label):
            found[code] += probability
    if not found:
        return None, 0.0
    code, probability = found.most_common(1)[0]
    return code, min(1.0, probability)


@lru_cache(maxsize=4096)
def language_of(label: str) -> str | None:
    """Return the language of a label: ISO 639-1 of it or of its macrolanguage, else ISO 639-3; None if it is not a language.

    `__label__en`, `__label__eng_Latn` and `eng` are `en`; `__label__arz_Arab` (Egyptian Arabic) is `ar`. A label with a script has
    a code of ISO 639-3; one without may have that of a Wikipedia.
    """
    from iso639 import Language, LanguageNotFoundError

    code, _, script = label.removeprefix("__label__").replace("-", "_").partition("_")
    name = code if script and len(script) == len("Latn") else _WIKIPEDIA.get(code, code)
    try:
        language = Language.match(name.lower(), strict_case=True)
        wider = Language.from_part3(language.macrolanguage) if language.macrolanguage else None
    except LanguageNotFoundError:
        return None
    if language.scope not in ("I", "M"):  # such as "und" and "zxx"
        return None
    code = language.part1 or (wider and wider.part1) or language.part3
    return _WITHDRAWN.get(code, code)


@lru_cache(maxsize=1)
def _load_model(model: Path, changed: int | None) -> Any:
    """Load a model. `changed`, the modification time, reloads a file that was replaced."""
    check_model(model)
    try:
        return _import_packages().load_model(str(model))
    except (ValueError, RuntimeError, MemoryError) as error:
        raise Misconfigured(f"{SETTING}={model}: fastText cannot load it: {error}") from error


def _import_packages() -> Any:
    try:
        import fasttext
        import iso639  # noqa: F401  (part of the same extra)
    except ImportError as error:
        raise Misconfigured(f"{SETTING} is set, and the package {error.name} is not installed: {INSTALL}") from error
    return fasttext
