"""Frozen passes on GPUs, whatever computes them: what engines and ONNX Runtime's CUDA provider share."""
