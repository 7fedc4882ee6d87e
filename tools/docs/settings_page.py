"""The page docs/reference/settings.md, from the model of the settings."""

from itertools import groupby

from podcast_assets.config.setting_descriptions import SettingDescription, describe_settings
from tools.docs.markdown import cell, link_pages

INTRODUCTION = """# Settings

Every setting is an environment variable with a default that works. An empty variable counts as unset.

```
podcast-assets settings          # every setting with its current value
podcast-assets settings --json   # the same as one JSON object
```

A store in a bucket is reached with the standard `AWS_*` variables ([The store](../operations/store.md)), the Hugging Face Hub with
`HF_TOKEN` and `HF_ENDPOINT` ([Release a dataset](../guides/release.md)).
"""


def render() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for section, settings in groupby(describe_settings(), key=lambda s: s.section):
        parts.append(f"\n## {section}\n")
        parts.extend(_entry(setting) for setting in settings)
    return "".join(parts)


def _entry(setting: SettingDescription) -> str:
    default = "unset" if setting.default is None else f"`{setting.default}`"
    return (
        f"\n### `{setting.variable}`\n\n"
        f"{link_pages(cell(setting.description))}\n\n"
        f"*Value: {setting.values}. Default: {default}.*\n"
    )
