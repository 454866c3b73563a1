"""Make a published network trainable again: ``python -m training.published MODEL.onnx -o checkpoint.pt``.

The ONNX file is all that is kept of a training; ``training.train --init`` continues from the checkpoint made of it.

Exporting folds every normalisation into its convolution. Unfolding gives each normalisation the statistics that its
convolution shows on rendered eyes, and the scale and offset that undo them: the function stays the same, and training
finds normalised numbers where it left them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.checkpoint import Checkpoint
from training.losses import network_input
from training.network import ConvNorm, Elg, NetworkConfig, fold_normalisation
from training.renderer import Difficulty, render

_EYES = 256
_EPSILON = nn.BatchNorm2d(1).eps
_SEED = 0


def checkpoint_from_onnx(path: Path) -> Checkpoint:
    """Read a file that ``training.export`` wrote.

    Args:
        path: the ONNX file.

    Returns:
        The same network with normalisations, and the facts of the training that made it.

    Raises:
        ValueError: the file is not such a model.
    """
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's errors share no base class below Exception
        raise ValueError(f"{path} is no ONNX file: {error}") from error
    facts = {entry.key: entry.value for entry in model.metadata_props}
    try:
        config = json.loads(facts["config"])
        config = NetworkConfig(**{**config, "widths": tuple(config["widths"]), "pools": tuple(config["pools"])})
        training, validation = json.loads(facts["training"]), json.loads(facts["held_out_rendered"])
        folded = fold_normalisation(Elg(config))
        weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        folded.load_state_dict({name: torch.from_numpy(weights[name].copy()) for name in folded.state_dict()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # of an older network too
        raise ValueError(f"{path} was not written by training.export: {error!r}; take a checkpoint.pt") from error
    return Checkpoint(config, unfold_normalisation(folded).state_dict(), training, validation)


def unfold_normalisation(folded: Elg) -> Elg:
    """Return the same function with a normalisation behind every convolution that had one.

    Args:
        folded: a network after ``fold_normalisation``.
    """
    config = folded.config
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        folded.get_submodule(name)[0].register_forward_hook(  # type: ignore[index]
            lambda _module, _given, output: outputs.__setitem__(name, output)
        )

    network = Elg(config).eval()
    names = [name for name, module in network.named_modules() if isinstance(module, ConvNorm)]
    for name in names:
        keep(name)
    generator = torch.Generator().manual_seed(_SEED)
    batch = render(_EYES, config.height, config.width, generator=generator, difficulty=Difficulty())
    with torch.no_grad():
        folded(network_input(batch.image))
    state = folded.state_dict()
    for name in names:
        bias = state.pop(f"{name}.0.bias")
        variance, mean = torch.var_mean(outputs[name], (0, 2, 3), correction=0)
        state |= {
            f"{name}.1.running_mean": mean - bias,
            f"{name}.1.running_var": variance,
            f"{name}.1.weight": (variance + _EPSILON).sqrt(),
            f"{name}.1.bias": mean,
            f"{name}.1.num_batches_tracked": torch.tensor(1),
        }
    network.load_state_dict(state)
    return network


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.published", description="Make a checkpoint of a model.")
    parser.add_argument("model", type=Path, help="ONNX file of training.export")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the checkpoint")
    given = parser.parse_args(arguments)
    try:
        checkpoint = checkpoint_from_onnx(given.model)
    except ValueError as error:
        print(f"training.published: {error}", file=sys.stderr)
        return 2
    given.output.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(given.output)
    print(f"{given.output}: {checkpoint.config.height}x{checkpoint.config.width}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
