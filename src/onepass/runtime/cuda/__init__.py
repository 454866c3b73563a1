"""CUDA, as much as one pass needs: GPUs, memory, streams, recorded work; arrays that lie on a GPU."""
