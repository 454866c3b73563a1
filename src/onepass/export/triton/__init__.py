"""A model repository for NVIDIA's Triton; see docs/triton.md."""
