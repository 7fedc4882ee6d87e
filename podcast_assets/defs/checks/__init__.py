"""Asset checks: pure functions from tables to verdicts, each with its threshold."""
