"""Means of checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

from training.average import average, main  # noqa: E402
from training.checkpoint import load_checkpoint  # noqa: E402
from training.export import metadata_from_checkpoint  # noqa: E402
from training.network import Elg, NetworkConfig  # noqa: E402

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint


def _filled(checkpoint: Checkpoint, value: float, **facts: int) -> Checkpoint:
    """Return a checkpoint all of whose weights have one value, of another run."""
    state = {
        name: torch.full_like(tensor, value) if tensor.is_floating_point() else tensor + int(value)
        for name, tensor in checkpoint.state.items()
    }
    return dataclasses.replace(checkpoint, state=state, training={**checkpoint.training, **facts})


def test_a_mean_lies_where_its_weights_say(checkpoint: Checkpoint) -> None:
    """Weights need not add up to one; counters are not averaged; the mean is a network that runs."""
    mean = average([(_filled(checkpoint, 1.0), 3.0), (_filled(checkpoint, 5.0), 1.0)])
    for name, tensor in mean.state.items():
        if tensor.is_floating_point():
            assert tensor.dtype == torch.float32
            torch.testing.assert_close(tensor, torch.full_like(tensor, 2.0))
        else:
            assert torch.equal(tensor, checkpoint.state[name] + 1)
    assert [part["weight"] for part in mean.training["mean_of"]] == [0.75, 0.25]
    twice = average([(checkpoint, 1.0), (checkpoint, 2.0)]).network()
    eye = torch.rand(1, 1, checkpoint.config.height, checkpoint.config.width)
    torch.testing.assert_close(twice(eye), checkpoint.network()(eye))


def test_a_mean_says_how_it_was_made(checkpoint: Checkpoint) -> None:
    """What two parts have in common is made once, each part before the mean, and the file of the mean last."""
    early = _filled(checkpoint, 0.0, seed=1)
    late = dataclasses.replace(early, training={**early.training, "seed": 2, "continued_from": early.training})
    mean = average([(early, 0.25), (late, 0.75)])
    commands = metadata_from_checkpoint(mean)["made_by"].split("; ")
    assert [command.split()[2] for command in commands] == [
        "training.train", "training.train", "training.average", "training.export"
    ]  # fmt: skip
    assert commands[1].endswith("--out runs/1 --init runs/0/checkpoint.pt")
    assert commands[2] == (
        "python -m training.average runs/0/checkpoint.pt=0.25 runs/1/checkpoint.pt=0.75 -o runs/2/checkpoint.pt"
    )
    assert commands[3].startswith("python -m training.export runs/2/checkpoint.pt ")


def test_command_line(checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files and weights in, a checkpoint out; what cannot be averaged is told."""
    first, second, out = (tmp_path / name for name in ("first.pt", "second.pt", "mean.pt"))
    _filled(checkpoint, 1.0).save(first)
    _filled(checkpoint, 2.0).save(second)
    assert main([f"{first}=1", f"{second}=3", "-o", str(out)]) == 0
    mean = load_checkpoint(out)
    assert mean.state["radius.layers.0.bias"][0].item() == pytest.approx(1.75)

    network = Elg(NetworkConfig(36, 60, 2, (8, 16), (2,), 1))
    other = dataclasses.replace(checkpoint, config=network.config, state=network.state_dict())
    other.save(second)
    for arguments, message in {
        (str(first),): "two checkpoints or more, got 1",
        (str(first), str(second)): "the networks differ",
        (f"{first}=0", str(first)): "above 0, got 0, 1",
        (str(tmp_path / "none.pt"), str(first)): "none.pt",
        (str(first), __file__): "test_average.py is not a checkpoint",
    }.items():
        assert main([*arguments, "-o", str(out)]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([f"{first}=much", "-o", str(out)])
    assert "is not CHECKPOINT=WEIGHT" in capsys.readouterr().err
    assert torch.equal(load_checkpoint(out).state["radius.layers.0.bias"], mean.state["radius.layers.0.bias"])
