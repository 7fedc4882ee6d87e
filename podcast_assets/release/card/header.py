"""YAML header of a card, read by the Hub, its viewer and `datasets`.

Keys: https://github.com/huggingface/hub-docs/blob/main/datasetcard.md; for `configs` and `dataset_info`, see the documentation of
`datasets`, "Structure your repository" and "Create a dataset card".
"""

from collections.abc import Iterable, Sequence
from typing import Any

from huggingface_hub import DatasetCardData

from podcast_assets.release.card.facts import DatasetFacts
from podcast_assets.release.published import EPISODES, FOLDERS, SEGMENTS, PublishedShard
from podcast_assets.release.readers.features import declared
from podcast_assets.shards.sealing import UNKNOWN_LANGUAGE

ALL = "all"
"""Name of the configuration with every language."""
SPLITS = ("train", "validation", "test")

_SIZES = (
    *((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")),
    *((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B")),
)
_HUB_LICENCES = frozenset(
    "cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 "
    "cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 pddl odbl mit apache-2.0 "
    "gfdl".split()
)
"""Licence ids of the Hub, https://huggingface.co/docs/hub/repositories-licenses; all others become `other`."""


def render_header(facts: DatasetFacts) -> DatasetCardData:
    """Render the YAML header."""
    languages = [x for x in sorted_unique(facts.metadata["language"]) if x != UNKNOWN_LANGUAGE]
    licences = hub_licences(sorted_unique(facts.episodes["license"]) if "license" in facts.episodes.columns else [])
    configs = [c for grain in facts.grains for c in _render_configs(facts, grain)]
    gating: dict[str, Any] = {}
    if facts.gated:
        gating = {
            "extra_gated_heading": "Access to these recordings",
            "extra_gated_prompt": (
                "Each recording has its own licence, see episodes/*.parquet. You agree to comply with it, to give the attribution "
                "it requires, not to identify or imitate the speakers, and to delete samples that later releases no longer "
                "contain."
            ),
            "extra_gated_fields": {
                "Name": "text",
                "Affiliation": "text",
                "What you use it for": "text",
                "I agree to these terms": "checkbox",
            },
        }
    return DatasetCardData(
        pretty_name=title(facts),
        language=languages or None,
        license=licences[0] if len(licences) == 1 else licences,
        size_categories=size_category(facts.metadata.height),
        task_categories=["automatic-speech-recognition", "text-to-speech"],
        annotations_creators="machine-generated",
        language_creators="found",
        source_datasets=["original"],
        multilinguality="multilingual" if len(languages) > 1 else "monolingual",
        tags=[
            "audio",
            "speech",
            "podcasts",
            "webdataset",
            *(["speaker-diarization"] if EPISODES in facts.grains else []),
        ],
        configs=[{k: v for k, v in c.items() if k not in ("grain", "shards")} for c in configs],
        dataset_info=[_dataset_info(facts, c) for c in configs],
        **gating,
    )


def title(facts: DatasetFacts) -> str:
    """Title of the dataset."""
    return facts.repo.partition("/")[2].replace("_", " ").replace("-", " ") if facts.repo else "Speech from podcasts"


def config_name(grain: str, language: str = ALL) -> str:
    """Name of a configuration: the language, prefixed with `episodes-` if samples are whole episodes."""
    return language if grain == SEGMENTS else f"episodes-{language}"


def size_category(samples: int) -> str:
    """Size category as defined by the Hub."""
    return next((name for limit, name in _SIZES if samples < limit), "10B<n<100B")


def hub_licences(licences: Iterable[str]) -> list[str]:
    """Licence ids of the Hub; `other` for licences it does not know, `unknown` if there are none."""
    found = {x.lower() if x.lower() in _HUB_LICENCES else "other" for x in licences}
    return sorted(found, key=lambda x: (x == "other", x)) or ["unknown"]


def sorted_unique(values: Iterable[str | None]) -> list[str]:
    """Non-empty values, sorted and without duplicates."""
    return sorted({v for v in values if v})


def _render_configs(facts: DatasetFacts, grain: str) -> list[dict[str, Any]]:
    shards = [s for s in facts.shards if s.grain == grain]
    languages = sorted_unique(s.language for s in shards)
    groups = [(ALL, shards), *((x, [s for s in shards if s.language == x]) for x in languages)]
    return [
        {
            "config_name": config_name(grain, name),
            "data_files": [
                {"split": split, "path": f"{FOLDERS[grain]}/{'*' if name == ALL else name}/{split}/audio_*.tar"}
                for split in splits_of(own)
            ],
            **({"default": True} if (grain, name) == (facts.grains[0], ALL) else {}),
            "grain": grain,
            "shards": own,
        }
        for name, own in groups
    ]


def splits_of(shards: Sequence[PublishedShard]) -> list[str]:
    """Splits that have shards, in the order of SPLITS."""
    present = {s.split for s in shards}
    return [s for s in SPLITS if s in present]


def _dataset_info(facts: DatasetFacts, config: dict[str, Any]) -> dict[str, Any]:
    """Features and numbers of samples of a configuration, which `datasets` verifies while reading."""
    by_split = {x: [s for s in config["shards"] if s.split == x] for x in splits_of(config["shards"])}
    size = sum(s.bytes for s in config["shards"])
    return {
        "config_name": config["config_name"],
        "features": declared(facts.codec, config["grain"]),
        "splits": [
            {"name": x, "num_bytes": sum(s.bytes for s in own), "num_examples": sum(s.samples for s in own)}
            for x, own in by_split.items()
        ],
        "download_size": size,
        "dataset_size": size,
    }
