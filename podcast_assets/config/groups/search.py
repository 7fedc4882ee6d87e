"""Settings of search in the catalog."""

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup, check_without_secrets


class SearchSettings(SettingsGroup):
    """Search in the catalog by words and by meaning (docs/guides/search.md)."""

    heading: ClassVar = "Search"

    embedder: str = Field(
        json_schema_extra=DEPLOYMENT,
        default="wordllama",
        description="Engine whose vectors a search by meaning compares: wordllama, minilm, or openai for a server; an engine of "
        "catalog/embeddings. none: search by words only.",
    )
    embeddings_url: str | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="OpenAI-compatible server of the embedder openai, such as http://127.0.0.1:8080/v1.",
    )
    embeddings_model: str | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="Model of that server, such as text-embedding-3-small.",
    )
    embeddings_dimensions: int | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        ge=1,
        le=4_000,
        description="Length of the vectors that the server is asked for. Unset: as the model makes them.",
    )
    embeddings_api_key: SecretStr | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="API key of that server, sent as a bearer token; never shown or logged.",
    )
    embeddings_allow_remote: bool = Field(
        json_schema_extra=DEPLOYMENT,
        default=False,
        description="Whether transcripts and queries may be sent to a server that is neither on this machine nor on a private "
        "network. Without it commands ask, and unattended runs refuse.",
    )
    embeddings_patience: float = Field(
        json_schema_extra=DEPLOYMENT,
        default=120.0,
        gt=0,
        description="Seconds for which a request is tried again while the server is unreachable or overloaded.",
    )

    @field_validator("embeddings_url")
    @classmethod
    def _check_embeddings_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return check_without_secrets(value)
