"""Run a folder of pictures in batches: python -m examples.batch MODEL FOLDER [SIZE]; writes FOLDER/outputs-N.npz."""

import sys
from pathlib import Path

import numpy as np

import onepass
from onepass.media import PICTURE_SUFFIXES, read_picture
from onepass.media.tensors import tensor_from_picture
from onepass.writers import write_outputs


def main(model: str, folder: str, size: str = "8") -> None:
    """Run one pass per batch, and write all of its outputs to one file, by name."""
    pictures = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    with onepass.load(model) as session:
        (spec,) = session.signature.inputs
        for start in range(0, len(pictures), int(size)):
            batch = [
                tensor_from_picture(read_picture(path), spec, value_range=(-1, 1))
                for path in pictures[start : start + int(size)]
            ]
            target = write_outputs(session(np.concatenate(batch)), Path(folder, f"outputs-{start // int(size)}.npz"))
            print(f"{len(batch)} pictures -> {target}")


if __name__ == "__main__":
    main(*sys.argv[1:])
