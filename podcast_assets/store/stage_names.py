"""Stages and the tables that they make. What the tables hold is in `schema`."""

STAGES = {
    "raw_audio": "ingest",
    "diarized_segments": "diarize",
    "transcripts": "transcribe",
    "quality_scores": "score",
    "hf_shards": "package",
}
"""Asset → the stage that does its work, of the assets without which no batch is done."""
OPTIONAL_STAGES = {
    "second_opinions": "second",
    "punctuated_texts": "punctuate",
    "episode_shards": "package_episodes",
}
"""The same of the optional assets: a batch is done without them."""
TABLE_STAGES = STAGES | OPTIONAL_STAGES
"""The same of all assets that have a table per batch."""
