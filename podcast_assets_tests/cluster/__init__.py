"""Stages on a real Ray cluster."""
