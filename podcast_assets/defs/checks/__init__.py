"""Asset checks: pure functions from tables to verdicts, with their thresholds."""
