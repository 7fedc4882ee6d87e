"""Profiles: documented sets of engines. `auto` takes the best one whose models are at hand, and says why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.routes import ANY, parse_routes
from podcast_assets.config.settings import Settings
from podcast_assets.engines import gpus
from podcast_assets.engines.availability import check_available, missing_packages
from podcast_assets.engines.engine import FOLDERS, Engine, engines, make_engine

if TYPE_CHECKING:
    from podcast_assets.speech.routing import Route

DESCRIPTIONS = {
    "demo": "Demonstration: a miniature Whisper of 103 words in synthetic voices, run by faster-whisper. Only for the "
    "sample batch.",
    "embedded": "Runs anywhere, without a model hub: voice prints and clustering, pocketsphinx (English, about a quarter of the "
    "words wrong). For trying things out.",
    "cpu": "pyannote (where it is at hand) and faster-whisper on the CPU; model `small` unless PODCAST_WHISPER_MODEL says "
    "otherwise.",
    "gpu": "pyannote (where it is at hand) and faster-whisper on an NVIDIA GPU; model `large-v3-turbo` unless "
    "PODCAST_WHISPER_MODEL says otherwise.",
}
CPU_PROFILES = frozenset(DESCRIPTIONS) - {"gpu"}
"""Profiles whose engines compute on CPUs, unless PODCAST_ENGINES puts one on a GPU."""
WHISPER_MODELS = {"cpu": "small", "gpu": "large-v3-turbo"}
CHINESE = ("firered", "paraformer")
"""Engines that the route of `zh` takes where their model is at hand, the better one first."""


@dataclass(frozen=True)
class Profile:
    """The engines of a run."""

    name: str
    reason: str
    """Why this one, for people."""
    diarizer: Engine
    transcriber: Engine
    scorer: Engine
    separator: Engine | None = None
    second: Engine | None = None
    """Transcribes everything once more, to be compared with the first."""
    punctuator: Engine | None = None
    """Gives texts punctuation and capitals, in a column of its own."""

    @property
    def note(self) -> str | None:
        """What readers of the results must know of the engines; None for full ones."""
        if self.name == "demo":
            return (
                "Made with the demonstration model, which knows 103 English words in synthetic voices. For your own audio "
                "use the profile cpu or gpu (embedded where no model hub can be reached)."
            )
        if self.name == "embedded":
            return (
                "Made with the embedded engines, which run anywhere and get many words wrong. For a dataset use the profile "
                "cpu or gpu."
            )
        return None


def engines_of(profile: Profile) -> list[Engine]:
    """The engines of a profile, those inside composed ones too, each once, in the order of the stages."""
    again = parts(profile.second) if profile.second else []
    found = [
        profile.separator,
        profile.diarizer,
        *parts(profile.transcriber),
        *again,
        *parts(profile.scorer),
        profile.punctuator,
    ]
    return [e for i, e in enumerate(found) if e is not None and e not in found[:i]]


def parts(engine: Engine) -> list[Engine]:
    """The plain engines that one is composed of."""
    from podcast_assets.quality.scoring import Scorers
    from podcast_assets.speech.routing import RoutedEngine

    if isinstance(engine, Scorers):
        return list(engine.parts)
    if not isinstance(engine, RoutedEngine):
        return [engine]
    chained = [e for route in engine.routes for e in route.chain]
    return chained + ([engine.aligner] if engine.aligner else [])


_ENGINES_BY = (
    "diarizer routes second_transcriber aligner separator engines scorers text_care punctuator mixed_languages".split()
)
"""Settings that name engines or go to them."""


def choose(settings: Settings) -> Profile:
    """The profile that the settings name; for `auto`, the best one that can run here.

    Raises:
        Misconfigured: there is no such profile, or a setting names an engine that there is not.
    """
    return make_profile(settings, *_choose_name(settings))


def explain_choice(settings: Settings) -> tuple[str, str]:
    """Name and reason of the profile that `choose` gives; engines that no setting is about are not made for it.

    Raises:
        Misconfigured: as `choose`.
    """
    if any(
        getattr(settings, name) != Settings.model_fields[name].get_default(call_default_factory=True)
        for name in _ENGINES_BY
    ):
        profile = choose(settings)
        return profile.name, profile.reason
    name, reason = _choose_name(settings)
    return name, reason + _diarizer_name(settings, name)[1]


def _choose_name(settings: Settings) -> tuple[str, str]:
    """Name of the profile, and why."""
    gpus.set_visible_gpus(settings.gpus)
    if settings.profile != "auto":
        return settings.profile, "it was asked for"
    count = gpus.gpu_count() if gpus.has_driver() else 0
    wanted = "gpu" if count else "cpu"
    model = settings.whisper_model or WHISPER_MODELS[wanted]
    found, why = check_available(_make("transcriber", "faster-whisper", settings, model=model))
    if found:
        return wanted, f"{f'{count} GPU(s)' if count else 'no GPU'} found; {why}"
    return "embedded", f"the model {model!r} that profile {wanted} needs is not at hand: {why}"


def widest(settings: Settings) -> Profile:
    """The profile with every engine that a run of these settings may load, on whichever machine it is.

    What is decided by it holds for all runs: this machine is taken to be no measure of theirs, so neither its GPUs, packages and
    models nor the hub are asked.

    Raises:
        Misconfigured: a setting names an engine that there is not.
    """
    name = "gpu" if settings.profile == "auto" else settings.profile
    return make_profile(settings, name, "what runs may load", anywhere=True)


def make_profile(settings: Settings, name: str, reason: str, *, anywhere: bool = False) -> Profile:
    """A profile by its name.

    Args:
        settings: of the engines.
        name: of the profile.
        reason: why this one, for people.
        anywhere: take every engine that another machine may have, rather than what is at hand here.

    Raises:
        Misconfigured: there is no such profile, or a setting names an engine that there is not.
    """
    if name not in DESCRIPTIONS:
        raise Misconfigured(f"no profile is called {name!r}; there are: auto, {', '.join(DESCRIPTIONS)}")
    from podcast_assets.quality.text.care import parse_text_care

    if name in CPU_PROFILES:
        settings = _on_cpus(settings)
    diarizer, about = _diarizer_name(settings, name, anywhere=anywhere)
    punctuation = "punctuation" in parse_text_care(settings.text_care)
    return Profile(
        name=name,
        reason=reason + about,
        diarizer=_make("diarizer", diarizer, settings),
        transcriber=_transcriber(settings, name, anywhere=anywhere),
        scorer=_scorer(settings),
        separator=_make("separator", settings.separator, settings) if settings.separator else None,
        second=_second(settings, name) if settings.second_transcriber else None,
        punctuator=_make("punctuator", settings.punctuator, settings) if punctuation else None,
    )


def _on_cpus(settings: Settings) -> Settings:
    """The settings with every engine on CPUs that PODCAST_ENGINES does not put elsewhere."""
    movable = [e.name for kind in FOLDERS for e in engines(kind) if "device" in e.model_fields]
    given = settings.engines
    return settings.model_copy(
        update={"engines": given | {name: {"device": "cpu"} | given.get(name, {}) for name in movable}}
    )


def _scorer(settings: Settings) -> Engine:
    from podcast_assets.quality.scoring import Scorers

    dnsmos = _make("scorer", "dnsmos", settings, hop=settings.dnsmos_hop)
    more = [_make("scorer", name.strip(), settings) for name in settings.scorers.split(",") if name.strip()]
    return Scorers(parts=(dnsmos, *more)) if more else dnsmos


def _diarizer_name(settings: Settings, name: str, *, anywhere: bool = False) -> tuple[str, str]:
    """The diarizer, and why, where it was not plainly asked for."""
    if name in ("demo", "embedded"):
        return "embedded", ""
    if settings.diarizer != "auto":
        return settings.diarizer, ""
    found, why = (True, "") if anywhere else check_available(_make("diarizer", "pyannote", settings))
    return ("pyannote", "") if found else ("embedded", f"; the embedded diarizer in place of pyannote: {why}")


def _transcriber(settings: Settings, name: str, *, anywhere: bool) -> Engine:
    from podcast_assets.speech.routing import RoutedEngine

    if settings.routes and name in WHISPER_MODELS:
        table = parse_routes(settings.routes)
    else:
        table = _routes(settings, name, anywhere=anywhere)
    return RoutedEngine(
        routes=_made(table, settings, name),
        aligner=_make("aligner", settings.aligner, settings) if settings.aligner else None,
    )


def _second(settings: Settings, name: str) -> Engine:
    from podcast_assets.speech.routing import RoutedEngine

    wanted = settings.second_transcriber or ""
    return RoutedEngine(routes=_made(parse_routes(wanted if "=" in wanted else f"{ANY}={wanted}"), settings, name))


def _made(table: dict[str, tuple[str, ...]], settings: Settings, name: str) -> "tuple[Route, ...]":
    from podcast_assets.speech.routing import Route

    return tuple(
        Route(language=language, chain=tuple(_recognizer(settings, name, engine) for engine in chain))
        for language, chain in table.items()
    )


def _routes(settings: Settings, name: str, *, anywhere: bool) -> dict[str, tuple[str, ...]]:
    """The routing table of a profile, where none is set."""
    if name == "embedded":
        return {ANY: ("pocketsphinx",)}
    if name == "demo":
        return {ANY: ("faster-whisper",)}
    general = ("faster-whisper", "pocketsphinx")
    if anywhere:
        return {"zh": (*CHINESE, *general), ANY: general}
    for chinese in CHINESE:
        engine = _make("transcriber", chinese, settings)
        if not missing_packages(engine) and engine.model_files():
            return {"zh": (chinese, *general), ANY: general}
    return {ANY: general}


def _recognizer(settings: Settings, name: str, engine: str) -> Engine:
    if engine != "faster-whisper":
        return _make("transcriber", engine, settings)
    if name == "demo":
        from podcast_assets.demo import TRANSCRIBER

        return _make("transcriber", engine, settings, device="cpu", **TRANSCRIBER)
    return _make(
        "transcriber",
        engine,
        settings,
        model=settings.whisper_model or WHISPER_MODELS[name],
        device="cuda" if name == "gpu" else "cpu",
        mixed_languages=settings.mixed_languages,
    )


def _make(kind: str, name: str, settings: Settings, **own: Any) -> Engine:
    """An engine with the profile's settings, and over them those of PODCAST_ENGINES.

    Raises:
        Misconfigured: there is no such engine, or it has no such setting.
    """
    try:
        return make_engine(kind, name, **(own | settings.engines.get(name, {})))
    except ValueError as error:
        lines = str(error).splitlines()
        wrong = lines[0] if len(lines) == 1 else f"PODCAST_ENGINES: {name}: {lines[1]}: {lines[2].strip()}"
        raise Misconfigured(wrong) from error
