"""PostgreSQL's text search configuration of each language: its stemmer and its stop words."""

from collections.abc import Collection

SIMPLE = "simple"
"""For languages without a configuration: words as they are, without stop words."""
CONFIGURATIONS = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "nb": "norwegian",
    "ne": "nepali", "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
"""ISO 639-1 → configuration. Servers of other versions have fewer: see `configuration`."""


def configuration(language: str | None, available: Collection[str]) -> str:
    """Return the configuration for a language, `simple` where the server has none.

    Args:
        language: ISO 639-1 code, with or without a region (`pt-BR`).
        available: configurations of the server (`pg_catalog.pg_ts_config`).
    """
    name = CONFIGURATIONS.get((language or "").lower().replace("_", "-").partition("-")[0], SIMPLE)
    return name if name in available else SIMPLE
