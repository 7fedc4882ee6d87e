"""Training of the miniature models that tests use, beside what it makes."""
