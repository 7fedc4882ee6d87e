"""Prompts of the models, and how their answers are read: one module per model. An adapter asks nobody; it is pure.

To add one, see docs/guides/moderation-endpoint.md.
"""
