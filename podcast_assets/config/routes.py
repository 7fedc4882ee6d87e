"""Parser of the routing table: which engines transcribe which language."""

from podcast_assets.common.language_codes import language_code

ANY = "*"
"""The route of languages that have none of their own."""


def parse_routes(text: str) -> dict[str, tuple[str, ...]]:
    """`zh=firered>faster-whisper, *=faster-whisper` → ISO 639-1 code, or `*` → names of the engines of its chain.

    Languages may be written in any way that `language_code` knows: `cn`, `zh-CN` and `Chinese` are `zh`.

    Raises:
        ValueError: it is not written like this.
    """
    routes: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        language, equals, chain = part.partition("=")
        names = tuple(name.strip() for name in chain.split(">"))
        if not equals or not all(names):
            raise ValueError(
                f"{part!r} is not a route; write language=engine or language=engine>next, as zh=firered>faster-whisper"
            )
        code = ANY if language.strip() == ANY else language_code(language)
        if code is None:
            raise ValueError(
                f"{language.strip()!r} in {part!r} is not a language code; write a code such as zh, or * for all others"
            )
        routes[code] = names
    return routes
