"""Networks that are fetched from elsewhere, and made into ONNX."""
