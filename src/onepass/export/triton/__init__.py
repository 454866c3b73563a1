"""A model repository for NVIDIA's Triton; docs/triton.md tells it."""
