"""Settings of the served model that judges content."""

from typing import ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from podcast_assets.config.environment import environment_name
from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup, check_without_secrets


class ModerationEndpointSettings(SettingsGroup):
    """The server of the classifier `openai`: how it is asked, and what that may cost."""

    heading: ClassVar = "Moderation by a served model"

    moderation_url: str | None = Field(
        default=None,
        description="OpenAI-compatible server of the classifier openai, such as http://127.0.0.1:8000/v1 "
        "(docs/guides/moderation-endpoint.md).",
    )
    moderation_adapter: str = Field(
        default="cope-b",
        description="How prompts are written and answers read: cope-b, cope-a, qwen3guard, llama-guard, shieldgemma, "
        "gpt-oss-safeguard, or yes-no for any chat model. A moderation policy may name another.",
    )
    moderation_model: str | None = Field(
        default=None,
        description="Name of the model at the server. Unset: the adapter's own, as vLLM serves it. A moderation policy may name "
        "another.",
    )
    moderation_api_key: SecretStr | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="API key of the server, sent as a bearer token. Read where the model is asked; never shown or logged.",
    )
    moderation_allow_remote: bool = Field(
        default=False,
        description="Whether transcripts may be sent to a server that is neither on this machine nor on a private network. "
        "Without it commands ask, and unattended runs refuse.",
    )
    moderation_concurrency: int = Field(default=8, ge=1, le=512, description="Questions that are sent at once.")
    moderation_timeout: float = Field(
        default=120.0, gt=0, description="Seconds that the server may take for an answer."
    )
    moderation_patience: float = Field(
        default=300.0,
        gt=0,
        description="Seconds for which a question is tried again while the server is unreachable or overloaded; then the run "
        "stops, and its answers are kept.",
    )
    moderation_context: int | None = Field(
        default=None,
        ge=256,
        description="Tokens of the model's context. Unset: what the server says, else the model's own.",
    )
    moderation_price_in: float | None = Field(
        default=None, ge=0, description="USD per million tokens of questions. Unset: no price is counted."
    )
    moderation_price_out: float | None = Field(default=None, ge=0, description="USD per million tokens of answers.")
    moderation_budget: float | None = Field(
        default=None,
        gt=0,
        description="USD that a run may spend on answers; then it stops, and its answers are kept. Unset: no limit.",
    )

    @field_validator("moderation_url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return check_without_secrets(value)

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if (
            self.moderation_budget is not None
            and self.moderation_price_in is None
            and self.moderation_price_out is None
        ):
            budget, price = environment_name("moderation_budget"), environment_name("moderation_price_in")
            raise ValueError(f"{budget} is set without {price}; a budget needs the price of a token")
        return self
