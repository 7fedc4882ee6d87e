"""YAML header of a card, read by the Hub, its viewer and `datasets`.

The keys: https://github.com/huggingface/hub-docs/blob/main/datasetcard.md; of `configs` and `dataset_info`: the documentation of
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
"""Ids that the Hub knows, https://huggingface.co/docs/hub/repositories-licenses; of others it is told `other`."""


def render_header(about: DatasetFacts) -> DatasetCardData:
    """Render the YAML header."""
    languages = [x for x in unique_in_order(about.metadata["language"]) if x != UNKNOWN_LANGUAGE]
    licences = hub_licences(unique_in_order(about.episodes["license"]) if "license" in about.episodes.columns else [])
    configs = [c for grain in about.grains for c in _render_configs(about, grain)]
    gating: dict[str, Any] = {}
    if about.gated:
        gating = {
            "extra_gated_heading": "Access to these recordings",
            "extra_gated_prompt": (
                "Each recording has a licence of its own: see episodes/*.parquet. You agree to keep to it, to give the "
                "attribution that it asks for, not to identify or imitate the people who speak, and to delete what later "
                "releases no longer hold."
            ),
            "extra_gated_fields": {
                "Name": "text",
                "Affiliation": "text",
                "What you use it for": "text",
                "I agree to these terms": "checkbox",
            },
        }
    return DatasetCardData(
        pretty_name=title(about),
        language=languages or None,
        license=licences[0] if len(licences) == 1 else licences,
        size_categories=size_category(about.metadata.height),
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
            *(["speaker-diarization"] if EPISODES in about.grains else []),
        ],
        configs=[{k: v for k, v in c.items() if k not in ("grain", "shards")} for c in configs],
        dataset_info=[_dataset_info(about, c) for c in configs],
        **gating,
    )


def title(about: DatasetFacts) -> str:
    """Title of the dataset."""
    return about.repo.partition("/")[2].replace("_", " ").replace("-", " ") if about.repo else "Speech from podcasts"


def config_name(grain: str, language: str = ALL) -> str:
    """Name of a configuration: the language, after `episodes-` where samples are whole episodes."""
    return language if grain == SEGMENTS else f"episodes-{language}"


def size_category(samples: int) -> str:
    """Size category in the Hub's terms."""
    return next((name for limit, name in _SIZES if samples < limit), "10B<n<100B")


def hub_licences(licences: Iterable[str]) -> list[str]:
    """Licences in the Hub's terms; `other` for those that it does not know, `unknown` where there are none."""
    found = {x.lower() if x.lower() in _HUB_LICENCES else "other" for x in licences}
    return sorted(found, key=lambda x: (x == "other", x)) or ["unknown"]


def unique_in_order(values: Iterable[str | None]) -> list[str]:
    """Values that are set, without duplicates, in order."""
    return sorted({v for v in values if v})


def _render_configs(about: DatasetFacts, grain: str) -> list[dict[str, Any]]:
    shards = [s for s in about.shards if s.grain == grain]
    languages = unique_in_order(s.language for s in shards)
    groups = [(ALL, shards), *((x, [s for s in shards if s.language == x]) for x in languages)]
    return [
        {
            "config_name": config_name(grain, name),
            "data_files": [
                {"split": split, "path": f"{FOLDERS[grain]}/{'*' if name == ALL else name}/{split}/audio_*.tar"}
                for split in splits_of(own)
            ],
            **({"default": True} if (grain, name) == (about.grains[0], ALL) else {}),
            "grain": grain,
            "shards": own,
        }
        for name, own in groups
    ]


def splits_of(shards: Sequence[PublishedShard]) -> list[str]:
    """The splits that have shards, in the usual order."""
    present = {s.split for s in shards}
    return [s for s in SPLITS if s in present]


def _dataset_info(about: DatasetFacts, config: dict[str, Any]) -> dict[str, Any]:
    """Features, and how many samples there are: `datasets` compares it with what it reads."""
    by_split = {x: [s for s in config["shards"] if s.split == x] for x in splits_of(config["shards"])}
    size = sum(s.bytes for s in config["shards"])
    return {
        "config_name": config["config_name"],
        "features": declared(about.codec, config["grain"]),
        "splits": [
            {"name": x, "num_bytes": sum(s.bytes for s in own), "num_examples": sum(s.samples for s in own)}
            for x, own in by_split.items()
        ],
        "download_size": size,
        "dataset_size": size,
    }
