"""Diarizer `embedded`: two networks that the package contains, run by ONNX Runtime; nothing to download, no torch.

Does not belong here: what other diarizers use too, such as `local_speakers`, which runs one of the networks, and `frames_result`.
"""
