"""Prepare the next frame while the network processes the current one: python -m examples.live MODEL [FRAMES]."""

import sys
import time
from collections.abc import Iterator

import numpy as np

import onepass
from onepass.outputs import Array
from onepass.sampling import random_inputs


def frames(signature: onepass.Signature, count: int) -> Iterator[dict[str, Array]]:
    """Yield random frames; replace this with your camera."""
    for index in range(count):
        yield random_inputs(signature, seed=index)


def main(model: str, count: str = "30") -> None:
    """Keep one frame in flight: `submit` returns at once, and later calls never overwrite results."""
    begin = time.perf_counter()
    with onepass.load(model) as session:
        pending = None
        for frame in frames(session.signature, int(count)):
            submitted = session.submit(frame)
            if pending is not None:
                show(pending.result())
            pending = submitted
        if pending is not None:
            show(pending.result())
    print(f"{int(count) / (time.perf_counter() - begin):.0f} frames per second, including the time to open the model")


def show(outputs: onepass.Outputs) -> None:
    """Do something with every output of a frame."""
    print({name: float(np.asarray(array, np.float64).mean().round(3)) for name, array in outputs.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
