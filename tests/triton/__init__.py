"""The model repositories that onepass writes, served by the real Triton: `make test-triton`."""
