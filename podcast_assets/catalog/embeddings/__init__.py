"""Vectors of phrases, for search by meaning.

What belongs here: the embedders (one engine per file or folder), and the step that computes the vectors that are missing
(`step`) and keeps their index (`vectors`). What is searched with them is in `catalog/search`.
"""
