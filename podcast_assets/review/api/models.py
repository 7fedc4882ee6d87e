"""What the HTTP interface takes and gives."""

import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from podcast_assets.common.redaction import LONGEST_URL
from podcast_assets.intake.names import BATCH_NAME
from podcast_assets.review.api.gathering import SIZE
from podcast_assets.review.api.records import SUBMISSION_ID


def _check_characters(text: str) -> str:
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("must not have NUL characters or lone surrogates")
    return text


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000), AfterValidator(_check_characters)
]
Url = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=8, max_length=LONGEST_URL, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://\S+$"
    ),
    AfterValidator(_check_characters),
]
EpisodeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
BatchName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$"), AfterValidator(lambda n: n)]
SubmissionId = Annotated[str, StringConstraints(pattern=SUBMISSION_ID)]
TranscriptFormat = Literal["json", "md", "srt", "vtt", "txt", "rttm"]

assert BATCH_NAME.pattern.endswith("[a-z0-9][a-z0-9._-]{0,62}")


class _Body(BaseModel):
    """A request; fields that do not exist are refused, so that no misspelt one goes unnoticed."""

    model_config = ConfigDict(extra="forbid")


class EpisodeMetadata(_Body):
    """What is known of an episode."""

    title: Line | None = None
    language: Annotated[Line | None, Field(description="ISO 639-1 code, such as en.", examples=["en"])] = None
    podcast: Annotated[Line | None, Field(description="Title of the podcast.")] = None
    licence: Annotated[
        Line | None,
        Field(description="Licence of the recording; without one, a release may leave it out.", examples=["CC-BY-4.0"]),
    ] = None
    speakers: Annotated[
        Line | None, Field(description="Number of speakers, or the fewest and the most, such as 2-4.", examples=["2"])
    ] = None


class EpisodeToSubmit(EpisodeMetadata):
    """An episode by its URL. What it says of itself precedes what the request says of all."""

    url: Annotated[
        Url, Field(description="http or https URL of audio or video.", examples=["https://example.org/episode.mp3"])
    ]


class SubmissionRequest(EpisodeMetadata):
    """One URL, or up to 64 episodes, with metadata for all of them."""

    url: Annotated[Url | None, Field(description="One episode.", examples=["https://example.org/episode.mp3"])] = None
    episodes: Annotated[
        list[EpisodeToSubmit] | None, Field(description="Several episodes.", min_length=1, max_length=SIZE)
    ] = None
    callback_url: Annotated[
        Url | None, Field(description="Where a signed message goes once all episodes are finished.")
    ] = None


class Accepted(BaseModel):
    """A submission that is stored."""

    id: str
    status_url: str


class EpisodeState(BaseModel):
    """What became of a submitted episode."""

    url: Annotated[str, Field(description="Without login and query.")]
    state: Literal["waiting", "queued", "processing", "done", "failed", "skipped", "discarded", "removed"]
    episode_id: str | None
    stage: Annotated[str | None, Field(description="The stage that is next, at work or has failed.")]
    progress: Annotated[float, Field(description="Share of the stages that are behind it, 0 to 1.")]
    error: str | None


class SubmissionState(BaseModel):
    """What became of a submission."""

    id: str
    state: Literal["waiting", "queued", "processing", "done", "failed", "skipped", "discarded", "removed"]
    progress: float
    submitted_at: datetime.datetime
    batch: str | None
    callback: Annotated[str | None, Field(description="pending, sent, or why it was given up; null without one.")]
    episodes: list[EpisodeState]


class Rows(BaseModel):
    """Rows of a table."""

    rows: list[dict[str, Any]]


class Page(BaseModel):
    """Some rows of a table, and where the next begin."""

    rows: list[dict[str, Any]]
    next: Annotated[int | None, Field(description="Value of `after` for the next rows; null after the last.")]


class SearchAnswer(BaseModel):
    """Phrases that were found, the best first."""

    hits: list[dict[str, Any]]
    notes: Annotated[list[str], Field(description="What limited the search.")]


class RetryRequest(_Body):
    """What to run again: a batch, or the one of an episode."""

    batch: BatchName
    episode_id: EpisodeId | None = None
    permanent: Annotated[bool, Field(description="Also where only failures are left that the data caused.")] = False


class Requested(BaseModel):
    """A request to the pipeline."""

    backfill: Annotated[str, Field(description="Id of the backfill in Dagster.")]


class DiscardRequest(_Body):
    """An episode to leave out of later stages, shards and releases."""

    batch: BatchName
    episode_id: EpisodeId
    reason: Line


class Discarded(BaseModel):
    """An episode that is left out."""

    batch: str
    episode_id: str
    reason: str
    copies: Annotated[list[str], Field(description="Other episodes with the same bytes, which are not left out.")]


class CallbackSecret(BaseModel):
    """What callbacks of this token are signed with."""

    secret: Annotated[str, Field(description="As Standard Webhooks has it, whsec_….")]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str
    errors: Annotated[list[dict[str, Any]] | None, Field(description="Of a body or parameters: where, and what.")] = (
        None
    )
