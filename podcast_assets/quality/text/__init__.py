"""Text measures that detect recognition failures, and optional text columns."""
