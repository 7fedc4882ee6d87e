"""Engines that single episodes may have in place of those of the profile."""

from collections.abc import Iterable

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import Engine, engines
from podcast_assets.speech.diarizer_choice import DiarizerChoice
from podcast_assets.speech.routing import Route, RoutedEngine
from podcast_assets.stages.profiles import CPU_PROFILES, Profile, make_profile_engine, make_recognizer, place_on_cpus


def diarizer_choice(settings: Settings, profile: Profile) -> DiarizerChoice:
    """The diarizer of the profile, and all that may be named for an episode in its place.

    Where the profile's does not use a GPU, the others do not either, because their worker holds none.

    Raises:
        Misconfigured: PODCAST_ENGINES has a setting that one of them does not have.
    """
    if profile.name in CPU_PROFILES or profile.diarizer.gpu_use() == "never":
        settings = place_on_cpus(settings)
    names = [e.name for e in engines("diarizer") if e.name != profile.diarizer.name]
    others = tuple(make_profile_engine("diarizer", n, settings) for n in names)
    return DiarizerChoice(usual=profile.diarizer, others=others)


def transcriber_choice(settings: Settings, profile: Profile, chosen: Iterable[str]) -> Engine:
    """The transcriber of the profile, with those that were chosen for single episodes.

    Args:
        settings: settings of the engines.
        profile: the profile.
        chosen: what was chosen, as `parse_transcriber` reads it.

    Raises:
        Misconfigured: a choice names no transcriber.
    """
    names = sorted(set(chosen))
    if not names or not isinstance(profile.transcriber, RoutedEngine):
        return profile.transcriber
    routes = tuple(Route(language=n, chain=parse_transcriber(n, settings, profile)) for n in names)
    return profile.transcriber.model_copy(update={"chosen": routes})


def parse_transcriber(text: str, settings: Settings, profile: Profile) -> tuple[Engine, ...]:
    """Make the transcribers of a choice such as `parakeet`, `faster-whisper:large-v3` or `firered>faster-whisper`.

    Args:
        text: names of engines, the first before those that do what it could not, each perhaps with a model.
        settings: settings of the engines.
        profile: the profile, which decides about devices.

    Raises:
        Misconfigured: there is no such engine, or its model cannot be chosen.
    """
    if profile.name in CPU_PROFILES or profile.transcriber.gpu_use() == "never":
        settings = place_on_cpus(settings)
    return tuple(_make_transcriber(part.strip(), settings, profile) for part in text.split(">"))


def _make_transcriber(text: str, settings: Settings, profile: Profile) -> Engine:
    name, _, model = text.partition(":")
    known = {e.name: e for e in engines("transcriber")}
    if name not in known:
        raise Misconfigured(f"no transcriber is called {name!r}; there are: {', '.join(sorted(known))}")
    if model:
        if "model" not in known[name].model_fields:
            raise Misconfigured(f"the transcriber {name} has no choice of models: write {name} alone")
        given = settings.engines.get(name, {})
        settings = settings.model_copy(update={"engines": {**settings.engines, name: {**given, "model": model}}})
    return make_recognizer(settings, profile.name, name)
