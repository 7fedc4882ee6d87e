"""Settings of quality scores and policies."""

from typing import ClassVar

from pydantic import Field

from podcast_assets.config.groups.group import SettingsGroup


class QualitySettings(SettingsGroup):
    """Scores, and the policy that decides which segments are kept."""

    heading: ClassVar = "Quality"

    policy: str = Field(
        default="asr",
        description="Policy that decides which segments are kept: all, asr, buckets, emilia, tts, or the path of a TOML file "
        "(docs/guides/policies.md).",
    )
    dnsmos_hop: float = Field(
        default=1.0,
        gt=0,
        description="Seconds between DNSMOS windows. 1 is the reference; 9 is several times faster and slightly less accurate.",
    )
    scorers: str = Field(
        default="",
        description="Scorers to run beside dnsmos, such as utmos,squim; each is an engine of quality/scorers "
        "(docs/guides/signal-scores.md).",
    )
    text_care: str = Field(
        default="",
        description="Optional text columns: pii,numbers,punctuation for personal data, numbers as digits, punctuation and "
        "capitals (docs/guides/text-quality.md).",
    )
    punctuator: str = Field(
        default="pcs",
        description="Engine that restores punctuation where PODCAST_TEXT_CARE asks for it; an engine of quality/punctuators.",
    )
