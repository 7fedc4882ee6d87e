"""Runs: how they are started, tagged, retried, watched and ended."""
