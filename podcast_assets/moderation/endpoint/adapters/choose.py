"""The adapters by name."""

from podcast_assets.common.errors import Misconfigured
from podcast_assets.moderation.endpoint.adapters.adapter import Adapter
from podcast_assets.moderation.endpoint.adapters.cope_a import CopeA
from podcast_assets.moderation.endpoint.adapters.cope_b import CopeB
from podcast_assets.moderation.endpoint.adapters.gpt_oss_safeguard import GptOssSafeguard
from podcast_assets.moderation.endpoint.adapters.llama_guard import LlamaGuard
from podcast_assets.moderation.endpoint.adapters.qwen3guard import Qwen3Guard
from podcast_assets.moderation.endpoint.adapters.shieldgemma import ShieldGemma
from podcast_assets.moderation.endpoint.adapters.yes_no import YesNo

ADAPTERS: dict[str, type[Adapter]] = {
    kind.name: kind for kind in (CopeB, CopeA, Qwen3Guard, LlamaGuard, ShieldGemma, GptOssSafeguard, YesNo)
}


def adapter_class(name: str) -> type[Adapter]:
    """Find an adapter by name.

    Raises:
        Misconfigured: there is no such adapter.
    """
    if name not in ADAPTERS:
        raise Misconfigured(f"no moderation adapter is called {name!r}; there are: {', '.join(ADAPTERS)}")
    return ADAPTERS[name]
