"""Classifier `openai`: a model behind an OpenAI-compatible server, such as vLLM or llama.cpp.

How to serve one: docs/guides/moderation-endpoint.md.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PositiveFloat, PositiveInt

from podcast_assets.common.errors import EngineUnavailable, Misconfigured
from podcast_assets.config.environment import environment_name, read_environment
from podcast_assets.config.groups.moderation_endpoint import ModerationEndpointSettings
from podcast_assets.config.settings import Settings
from podcast_assets.engines.engine import runtime
from podcast_assets.moderation.endpoint.adapters.choose import adapter_class, choose_adapter
from podcast_assets.moderation.endpoint.remote import check_allowed
from podcast_assets.moderation.endpoint.spending import Prices, Spending
from podcast_assets.moderation.protocol import ClassifierEngine, ModerationPolicy

if TYPE_CHECKING:
    from podcast_assets.moderation.endpoint.classifier import EndpointClassifier

_KEY = "moderation_api_key"


class OpenAi(ClassifierEngine):
    """Settings of the classifier. The API key is not among them: `load` reads it from the environment of its process."""

    name: ClassVar[str] = "openai"
    packages: ClassVar[tuple[str, ...]] = ("httpx2",)

    url: str | None = runtime(None)
    """URL of the server, with or without /v1. Not part of the identity: what answers is the model, wherever it is served."""
    adapter: str = "cope-b"
    """How prompts are written and answers read; a policy may name another."""
    model: str | None = None
    """Name of the model at the server; None for the adapter's own. A policy may name another."""
    attempt: PositiveInt = 1
    """Raise it to ask again where an answer could not be read."""
    context: PositiveInt | None = runtime(None)
    """Tokens of the model's context; None to ask the server."""
    concurrency: PositiveInt = runtime(8)
    """Questions at once."""
    timeout: PositiveFloat = runtime(120.0)
    """Seconds that the server may take for an answer."""
    patience: PositiveFloat = runtime(300.0)
    """Seconds for which a question is asked again while the server does not answer."""
    price_in: float | None = runtime(None)
    """USD per million tokens of questions."""
    price_out: float | None = runtime(None)
    """USD per million tokens of answers."""
    budget: float | None = runtime(None)
    """USD that a run may spend."""
    allow_remote: bool = runtime(False)
    """Whether texts may leave this machine and its private network."""

    @classmethod
    def from_settings(cls, settings: Settings) -> dict[str, Any]:
        """Fields that the settings of the project fill: each `moderation_<field>`."""
        prefix = "moderation_"
        fields = (name.removeprefix(prefix) for name in ModerationEndpointSettings.model_fields)
        return {name: getattr(settings, prefix + name) for name in fields if name in cls.model_fields}

    def check_policy(self, policy: ModerationPolicy) -> None:
        """See `ClassifierEngine.check_policy`."""
        choose_adapter(policy, self.adapter, self.model)

    def fetch(self) -> None:
        """Check the settings, before a stage does anything.

        Raises:
            EngineUnavailable: no server is set, or texts may not be sent to it.
        """
        self._check()

    def unavailable_reason(self) -> str | None:
        """Return what is missing in the settings. The server is not asked."""
        try:
            self._check()
        except EngineUnavailable as error:
            return str(error)
        return None

    def _check(self) -> tuple[str, bool]:
        """Return the URL, and whether it is remote."""
        if not self.url:
            raise EngineUnavailable(
                f"the classifier {self.name} has no server: set {environment_name('moderation_url')} "
                "(docs/guides/moderation-endpoint.md)"
            )
        try:
            adapter_class(self.adapter)
        except Misconfigured as error:
            raise EngineUnavailable(str(error)) from error
        setting = environment_name("moderation_allow_remote")
        return self.url, check_allowed(self.url, what="transcripts", allowed=self.allow_remote, setting=setting)

    def load(self, device: str | None = None) -> "EndpointClassifier":
        """Open the connection; the server is asked when the first policy is judged.

        Raises:
            EngineUnavailable: no server is set, or texts may not be sent to it.
        """
        from podcast_assets.moderation.endpoint.classifier import EndpointClassifier  # httpx2 is slow to import
        from podcast_assets.moderation.endpoint.client import Client

        url, remote = self._check()
        return EndpointClassifier(
            client=Client(
                url,
                key=read_environment([_KEY]).get(_KEY),
                timeout=self.timeout,
                patience=self.patience,
                connections=self.concurrency,
                direct=not remote,
            ),
            adapter=self.adapter,
            model=self.model,
            concurrency=self.concurrency,
            context=self.context,
            attempt=self.attempt,
            spending=Spending(Prices(self.price_in, self.price_out), self.budget),
        )
