"""Engines that judge windows of transcripts by a moderation policy."""
