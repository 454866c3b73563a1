"""The mean of several checkpoints of one training, which can be better than each of them.

``python -m training.average early.pt=0.3 late.pt=0.7 -o mean.pt``

After Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization" (UAI 2018), and Wortsman et
al., "Model soups" (ICML 2022). Unlike in these papers, the normalisations' statistics are averaged like all weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.checkpoint import Checkpoint, load_checkpoint


def average(parts: Sequence[tuple[Checkpoint, float]]) -> Checkpoint:
    """Return the mean of checkpoints of one training, each with its weight; the weights need not add up to 1.

    Checkpoints of different trainings (other random initial weights) have no useful mean.

    Raises:
        ValueError: there are fewer than two, they are of different networks, or a weight is not above 0.
    """
    if len(parts) < 2:
        raise ValueError(f"a mean takes two checkpoints or more, got {len(parts)}")
    if not all(0 < weight < float("inf") for _, weight in parts):
        raise ValueError(f"weights are finite numbers above 0, got {', '.join(f'{weight:g}' for _, weight in parts)}")
    first = parts[0][0]
    for checkpoint, _ in parts[1:]:
        if checkpoint.config != first.config:
            raise ValueError(f"the networks differ: {first.config} and {checkpoint.config}")
    total = sum(weight for _, weight in parts)
    shares = [(checkpoint, weight / total) for checkpoint, weight in parts]
    facts = {"mean_of": [{"weight": round(share, 6), "training": each.training} for each, share in shares]}
    return dataclasses.replace(first, state=_mean_state(shares), training=facts, validation={})


def _mean_state(shares: Sequence[tuple[Checkpoint, float]]) -> dict[str, Tensor]:
    """Average all tensors but counters, which are the first checkpoint's."""
    state = dict(shares[0][0].state)
    for name, tensor in state.items():
        if tensor.is_floating_point():
            weighted = [share * checkpoint.state[name].double() for checkpoint, share in shares]
            state[name] = torch.stack(weighted).sum(0).to(tensor.dtype)
    return state


def part_from_text(text: str) -> tuple[Path, float]:
    """Path and weight from ``checkpoint.pt=0.3``; the default weight is 1."""
    path, separator, weight = text.rpartition("=")
    try:
        return (Path(path), float(weight)) if separator else (Path(text), 1.0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not CHECKPOINT=WEIGHT, such as checkpoint.pt=0.3") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.average", description="Average checkpoints of a training."
    )
    parser.add_argument("parts", nargs="+", type=part_from_text, metavar="CHECKPOINT=WEIGHT",
                        help="two or more of one training; the default weight is 1")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, help="the checkpoint to write")
    given = parser.parse_args(arguments)
    try:
        mean = average([(load_checkpoint(path), weight) for path, weight in given.parts])
        given.output.parent.mkdir(parents=True, exist_ok=True)
        mean.save(given.output)
    except (ValueError, OSError) as error:
        print(f"training.average: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
