"""Profiles: documented sets of engines. `auto` takes the best one whose models are at hand, and says why."""

from dataclasses import dataclass

from podcast_assets.engines import Engine, make_engine
from podcast_assets.errors import Misconfigured
from podcast_assets.settings import Settings

DESCRIPTIONS = {
    "demo": "Demonstration: a miniature Whisper of 103 words in synthetic voices, run by faster-whisper. Only for the "
    "sample batch.",
    "embedded": "Runs anywhere, without a model hub: voice prints and clustering, pocketsphinx (English, about a quarter of the "
    "words wrong). For trying things out.",
    "cpu": "faster-whisper on the CPU; model `small` unless PODCAST_WHISPER_MODEL says otherwise.",
    "gpu": "faster-whisper on an NVIDIA GPU; model `large-v3-turbo` unless PODCAST_WHISPER_MODEL says otherwise.",
}
WHISPER_MODELS = {"cpu": "small", "gpu": "large-v3-turbo"}


@dataclass(frozen=True)
class Profile:
    """The engines of a run."""

    name: str
    reason: str
    """Why this one, for people."""
    diarizer: Engine
    transcriber: Engine
    scorer: Engine

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


def choose(settings: Settings) -> Profile:
    """The profile that the settings name; for `auto`, the best one that can run here.

    Raises:
        Misconfigured: there is no such profile.
    """
    if settings.profile != "auto":
        return make_profile(settings, settings.profile, "it was asked for")
    from podcast_assets.speech.transcribers.faster_whisper import model_at_hand

    wanted = "gpu" if _gpus() else "cpu"
    model = settings.whisper_model or WHISPER_MODELS[wanted]
    at_hand, why = model_at_hand(model)
    if at_hand:
        return make_profile(settings, wanted, f"{_hardware()}; {why}")
    return make_profile(settings, "embedded", f"the model {model!r} that profile {wanted} needs is not at hand: {why}")


def make_profile(settings: Settings, name: str, reason: str) -> Profile:
    """A profile by its name.

    Raises:
        Misconfigured: there is no such profile.
    """
    if name not in DESCRIPTIONS:
        raise Misconfigured(f"no profile is called {name!r}; there are: auto, {', '.join(DESCRIPTIONS)}")
    return Profile(
        name=name,
        reason=reason,
        diarizer=make_engine("diarizer", "embedded"),
        transcriber=_transcriber(settings, name),
        scorer=make_engine("scorer", "dnsmos", hop=settings.dnsmos_hop),
    )


def _transcriber(settings: Settings, name: str) -> Engine:
    if name == "embedded":
        return make_engine("transcriber", "pocketsphinx")
    if name == "demo":
        from podcast_assets.demo import TRANSCRIBER

        return make_engine("transcriber", "faster-whisper", device="cpu", **TRANSCRIBER)
    return make_engine(
        "transcriber",
        "faster-whisper",
        model=settings.whisper_model or WHISPER_MODELS[name],
        device="cuda" if name == "gpu" else "cpu",
    )


def _gpus() -> int:
    """NVIDIA GPUs that CTranslate2 can use."""
    try:
        import ctranslate2
    except ImportError:
        return 0
    return ctranslate2.get_cuda_device_count()


def _hardware() -> str:
    return f"{_gpus()} GPU(s) found" if _gpus() else "no GPU found"
