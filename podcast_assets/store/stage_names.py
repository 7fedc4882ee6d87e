"""Stages and the tables that they make. What the tables hold is in `schema`."""

STAGES = {
    "raw_audio": "ingest",
    "diarized_segments": "diarize",
    "transcripts": "transcribe",
    "quality_scores": "score",
    "hf_shards": "package",
}
"""Asset → the stage that does its work."""
TABLE_STAGES = STAGES | {
    "second_opinions": "second",
    "punctuated_texts": "punctuate",
    "episode_shards": "package_episodes",
}
"""Table → the stage that does its work."""
