"""Diarizer `embedded`: two networks that the package contains, run by ONNX Runtime; nothing to download, no torch.

Does not belong here: what other diarizers use too (`diarizers/turns.py`, `diarizers/exclusive.py`).
"""
