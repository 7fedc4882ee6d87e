"""Transcriber `parakeet`: NVIDIA's Parakeet TDT by ONNX Runtime."""
