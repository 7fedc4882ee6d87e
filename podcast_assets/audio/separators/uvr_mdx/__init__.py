"""Separator `uvr_mdx`: the MDX-Net models of Ultimate Vocal Remover by ONNX Runtime."""
