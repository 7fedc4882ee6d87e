"""Moderation by a model behind an OpenAI-compatible server: its prompts and answers, the connection, kept answers, limits and cost.

Not here: policies and windows (`moderation`), and the stage that judges the episodes of a batch (`stages`).
"""
