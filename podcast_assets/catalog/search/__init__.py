"""Search in the catalog: by words, by meaning, or both.

What belongs here: the phrases that are searched (`phrases`, `phrase_rows`), how texts become search terms (`terms`), the query
language (`query`), and the search itself. The models that make vectors of texts are in `catalog/embeddings`.
"""
