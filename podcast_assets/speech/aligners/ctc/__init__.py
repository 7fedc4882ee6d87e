"""Aligner `ctc`: word times by a CTC acoustic model in ONNX form."""
