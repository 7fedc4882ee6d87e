"""Languages of texts: identification, and equivalence of language codes."""
