"""Checkpoints: weights and the facts of their training, loadable without running code."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onepass.artifacts import replacing
from training.network import Elg, NetworkConfig

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained network.

    Attributes:
        config: size of the network.
        state: parameters and buffers, float32 on the CPU.
        training: plain facts: images, seed, seconds, device, versions.
        validation: errors on held-out rendered eyes.
    """

    config: NetworkConfig
    state: dict[str, Tensor]
    training: dict[str, Any]
    validation: dict[str, Any]

    def network(self) -> Elg:
        """The network with these weights, in evaluation mode on the CPU."""
        network = Elg(self.config)
        network.load_state_dict(self.state)
        return network.eval()

    def save(self, path: Path) -> None:
        """Write to a temporary name beside ``path``, then rename."""
        content = {
            "format": FORMAT,
            "config": dataclasses.asdict(self.config),
            "state": {name: tensor.detach().cpu() for name, tensor in self.state.items()},
            "training": self.training,
            "validation": self.validation,
        }
        with replacing(path) as temporary:
            torch.save(content, temporary)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not a checkpoint, or has another format.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is not a checkpoint; expected a checkpoint.pt of training.train") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{path}: checkpoint format {found!r}, expected {FORMAT}")
    return Checkpoint(NetworkConfig(**content["config"]), content["state"], content["training"], content["validation"])


def write_json(path: Path, content: object) -> None:
    """Write JSON to a temporary name beside ``path``, then rename."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
