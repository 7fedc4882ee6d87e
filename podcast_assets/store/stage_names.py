"""Names of the stages and their tables. The columns are in `schema`."""

STAGES = {
    "raw_audio": "ingest",
    "diarized_segments": "diarize",
    "transcripts": "transcribe",
    "quality_scores": "score",
    "hf_shards": "package",
}
"""Asset → stage, for the required assets."""
OPTIONAL_STAGES = {
    "second_opinions": "second",
    "punctuated_texts": "punctuate",
    "content_flags": "moderate",
    "episode_shards": "package_episodes",
}
"""Asset → stage, for the optional assets."""
TABLE_STAGES = STAGES | OPTIONAL_STAGES
"""Asset → stage, for all assets with a table per batch."""
