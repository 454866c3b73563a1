"""Print every output of one pass over pictures: python -m examples.image MODEL PICTURE…."""

import sys

import numpy as np

import onepass
from onepass.media import read_picture
from onepass.media.tensors import tensor_from_picture


def main(model: str, *pictures: str) -> None:
    """Read the pictures as one batch, run once, print the outputs."""
    with onepass.load(model) as session:
        (spec,) = session.signature.inputs
        batch = [tensor_from_picture(read_picture(path), spec, value_range=(-1, 1)) for path in pictures]
        outputs = session(np.concatenate(batch))
    for path, item in zip(pictures, outputs.split(), strict=True):
        print(path, item)


if __name__ == "__main__":
    main(*sys.argv[1:])
