"""Quality of segments: signal scores, text measures and policies."""
