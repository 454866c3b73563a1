"""ONNX Runtime: ONNX models, on the CPU and wherever its providers run them."""
