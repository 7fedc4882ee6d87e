"""Batches in the catalog to review, made without a store."""

import datetime

from sqlalchemy import Connection, Engine, insert, text

from podcast_assets.catalog.tables import (
    BATCHES,
    CONTENT_FLAGS,
    EPISODES,
    FAILURES,
    SCORES,
    SEGMENTS,
    SPEAKERS,
    WORDS,
)
from podcast_assets.review.refs import ItemRef

NOW = datetime.datetime(2026, 11, 30, 12, 30, tzinfo=datetime.UTC)
LABELS = ("harassment", "hate_speech")


def segment_ref(number: int, batch: str = "first", episode: str = "one") -> ItemRef:
    return ItemRef.segment(batch, f"{batch}-{episode}", segment_id(f"{batch}-{episode}", number))


def window_ref(number: int, batch: str = "first", episode: str = "one") -> ItemRef:
    return ItemRef.window(batch, f"{batch}-{episode}", "harmful", number)


def segment_id(episode_id: str, number: int) -> str:
    return f"{episode_id}-{number * 3000:09}-{number * 3000 + 3000:09}"


def fill_batch(engine: Engine, batch: str = "first", episodes: tuple[str, ...] = ("one",), segments: int = 4) -> None:
    """Fill a batch: segments of 3 s by two speakers, and a window per segment, of which the first of an episode is flagged, and the
    second was not judged. Segment 2 lacks words and confidence, and its two recognizers disagree."""
    with engine.begin() as connection:
        connection.execute(
            insert(BATCHES).values(batch=batch, version="1", words=True, loaded_at=text("clock_timestamp()"))
        )
        connection.execute(
            text("INSERT INTO podcast_catalog.podcasts VALUES ('A Show', 'guid', 'A Show') ON CONFLICT DO NOTHING")
        )
        for name in episodes:
            _fill_episode(connection, batch, f"{batch}-{name}", segments)
        connection.execute(
            insert(FAILURES).values(
                batch=batch, stage="transcribe", episode_id=f"{batch}-broken", error_type="CorruptAudio", message="not audio",
                permanent=True, attempts=2, failed_at=NOW,
            )
        )  # fmt: skip


def _fill_episode(connection: Connection, batch: str, episode_id: str, count: int) -> None:
    connection.execute(
        insert(EPISODES).values(
            batch=batch, episode_id=episode_id, podcast="A Show", source="one.mp3", status="done", title=f"<b>{episode_id}</b>",
            podcast_title="A Show", podcast_id="guid", language="en", duration=3.0 * count,
        )
    )  # fmt: skip
    own = {"batch": batch, "episode_id": episode_id}
    connection.execute(
        insert(SEGMENTS),
        [
            own
            | {
                "segment_id": segment_id(episode_id, n), "segment_index": n, "start": 3.0 * n, "end": 3.0 * n + 3, "duration": 3.0,
                "speaker": f"S{n % 2}", "overlap": 0.0, "text": f"what was said {n}", "language": "en",
                "second_text": f"what was {n}",
                "avg_logprob": -1.5 if n == 2 else -0.1, "uncovered_speech": 2.0 if n == 2 else 0.0, "flags": [], "degraded": False,
            }
            for n in range(count)
        ],
    )  # fmt: skip
    connection.execute(
        insert(SCORES),
        [
            {
                "batch": batch,
                "segment_id": segment_id(episode_id, n),
                "keep": True,
                "reject_reasons": [],
                "second_wer": float(n == 2),
            }
            for n in range(count)
        ],
    )
    connection.execute(
        insert(WORDS),
        [
            {
                "batch": batch, "segment_id": segment_id(episode_id, n), "position": position, "word": word,
                "start": 3.0 * n + position / 2, "end": 3.0 * n + position / 2 + 0.4, "probability": 0.9,
            }
            for n in range(count)
            for position, word in enumerate(f"what was said {n}".split())
        ],
    )  # fmt: skip
    connection.execute(insert(SPEAKERS), [own | {"speaker": f"S{n}", "segments": 2, "seconds": 6.0} for n in range(2)])
    connection.execute(
        insert(CONTENT_FLAGS),
        [
            own
            | {
                "policy": "harmful", "policy_version": "1", "policy_hash": "0" * 64, "window": n, "start": 3.0 * n,
                "end": 3.0 * n + 3, "segment_ids": [segment_id(episode_id, n)], "label": label, "label_name": label,
                "threshold": 0.5,
                "probability": {0: 0.9, 1: None}.get(n, 0.1), "verdict": {0: "flagged", 1: "needs_review"}.get(n, "clean"),
                "model": "none", "judged_at": NOW,
            }
            for n in range(count)
            for label in LABELS
        ],
    )  # fmt: skip
