"""Download networks and convert them to ONNX."""
