"""One small training, shared by the tests that need trained weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny network after three steps on 36x60 eyes; its folder also holds ``checkpoint.pt`` and ``log.json``."""
    pytest.importorskip("torch")
    from training.network import NetworkConfig
    from training.train import TrainOptions, train

    folder: Path = tmp_path_factory.mktemp("training")
    network = NetworkConfig(height=36, width=60, stride=2, widths=(8, 8), pools=(2,), modules=1)
    return train(TrainOptions(height=36, width=60, out=folder, steps=3, batch=4, held_out=8, network=network))
