"""The adapters by name."""

from podcast_assets.common.errors import Misconfigured
from podcast_assets.config.environment import environment_name
from podcast_assets.moderation.endpoint.adapters.adapter import Adapter, make_adapter
from podcast_assets.moderation.endpoint.adapters.cope_a import CopeA
from podcast_assets.moderation.endpoint.adapters.cope_b import CopeB
from podcast_assets.moderation.endpoint.adapters.gpt_oss_safeguard import GptOssSafeguard
from podcast_assets.moderation.endpoint.adapters.llama_guard import LlamaGuard
from podcast_assets.moderation.endpoint.adapters.qwen3guard import Qwen3Guard
from podcast_assets.moderation.endpoint.adapters.shieldgemma import ShieldGemma
from podcast_assets.moderation.endpoint.adapters.yes_no import YesNo
from podcast_assets.moderation.protocol import ModerationPolicy

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


def choose_adapter(policy: ModerationPolicy, adapter: str, model: str | None) -> tuple[Adapter, str]:
    """Choose the adapter and the model of a policy: its engine options may name both, and have the adapter's own options.

    Args:
        policy: the policy.
        adapter: name of the adapter if the policy names none.
        model: name of the model if the policy names none; None for the adapter's own.

    Raises:
        Misconfigured: there is no such adapter, its options are invalid, or no model is named.
    """
    options = dict(policy.engine_options)
    kind = adapter_class(str(options.pop("adapter", adapter)))
    named = options.pop("model", None) or (model if kind.name == adapter or not kind.default_model else None)
    name = str(named or kind.default_model or "")
    if not name:
        raise Misconfigured(
            f"moderation policy {policy.name}: the adapter {kind.name} has no model of its own: set "
            f"{environment_name('moderation_model')}, or model among the policy's engine_options"
        )
    return make_adapter(kind, policy, options), name
