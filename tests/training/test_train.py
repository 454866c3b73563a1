"""Training: it learns, keeps what it learned, and can go on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

from training.checkpoint import load_checkpoint, write_json  # noqa: E402
from training.losses import Schedule  # noqa: E402
from training.network import NetworkConfig  # noqa: E402
from training.renderer import Difficulty  # noqa: E402
from training.synthetic import HELD_OUT_SEED  # noqa: E402
from training.train import (  # noqa: E402
    Trainer,
    TrainOptions,
    WeightAverage,
    _refuse_divergence,
    main,
    size_from_text,
    train,
)

if TYPE_CHECKING:
    from training.checkpoint import Checkpoint

TINY = NetworkConfig(height=36, width=60, stride=2, widths=(8, 8), pools=(2,), modules=1)


def test_a_few_steps_lower_the_loss(tmp_path: Path) -> None:
    """Thirty steps on rendered eyes bring the loss well below where it started."""
    options = TrainOptions(height=36, width=60, out=tmp_path, steps=30, batch=8, network=TINY, learning_rate=4e-3)
    trainer = Trainer(options)
    losses = [trainer.step(0.03).total.item() for _ in range(30)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_a_run_leaves_checkpoint_and_log(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A checkpoint holds weights, size, facts and errors, and comes back from disk as it was."""
    checkpoint.save(tmp_path / "copy.pt")
    again = load_checkpoint(tmp_path / "copy.pt")
    assert again.config == TINY
    assert again.training["images"] == 12
    assert again.training["seed"] == 0
    assert again.validation["eyes"] > 0
    assert all(torch.equal(tensor, again.state[name]) for name, tensor in checkpoint.state.items())
    assert [file.name for file in tmp_path.iterdir()] == ["copy.pt"], "no temporary file stays behind"


def test_training_continues_from_a_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A run that starts from a checkpoint keeps its size, starts at full difficulty and names what it came from."""
    checkpoint.save(tmp_path / "first.pt")
    out = tmp_path / "second"
    options = TrainOptions(
        height=36, width=60, out=out, steps=1, batch=2, held_out=4, init=tmp_path / "first.pt", learning_rate=1e-4
    )
    second = train(options)
    assert second.config == TINY
    assert second.training["continued_from"]["images"] == 12
    log = json.loads((out / "log.json").read_text(encoding="utf-8"))
    assert log[0]["step"] == 1
    assert "gaze_median_deg" in log[-1]["held_out"]


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """A checkpoint of another format is refused by name."""
    torch.save({"format": 99}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt: checkpoint format 99, expected 1"):
        load_checkpoint(tmp_path / "other.pt")


def test_the_held_out_seed_is_refused(tmp_path: Path) -> None:
    """Nobody can train on the pictures that are kept for measuring."""
    with pytest.raises(ValueError, match="kept for measuring"):
        TrainOptions(height=36, width=60, out=tmp_path, seed=HELD_OUT_SEED)


@pytest.mark.parametrize("total", [1e6, float("nan")])
def test_divergence_stops_a_run(total: float) -> None:
    """A loss that is huge or not a number ends the run with the step and a remedy."""
    with pytest.raises(RuntimeError, match=r"diverged at step 7.*lower the learning rate"):
        _refuse_divergence({"step": 7, "total": total})


def test_the_schedule_goes_from_easy_to_hard() -> None:
    """Difficulty rises to 1, pose first; the learning rate rises, then falls; bumps narrow; landmarks gain weight."""
    schedule = Schedule(1e-3, warmup=0.1)
    assert schedule.difficulty(1.0) == Difficulty(1.0, 1.0, 1.0)
    early = schedule.difficulty(0.2)
    assert early.pose > early.jitter > early.degradation
    assert schedule.learning_rate(0.0) < schedule.learning_rate(0.1) == pytest.approx(1e-3)
    assert schedule.learning_rate(1.0) == pytest.approx(1e-5)
    assert schedule.heatmap_sigma_px(1.0) < schedule.heatmap_sigma_px(0.0)
    assert schedule.landmark_weight(1.0) > schedule.landmark_weight(0.0)
    assert Schedule(1e-3, refining=True).difficulty(0.0) == Difficulty()
    mild = Schedule(1e-3, jitter=0.4, degradation=0.5)
    assert mild.difficulty(1.0) == Difficulty(1.0, 0.4, 0.5)
    assert mild.difficulty(0.0).degradation < 0.5
    assert Schedule(1e-3, refining=True, jitter=0.4, degradation=0.5).difficulty(0.0) == Difficulty(1.0, 0.4, 0.5)


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    """The running average of constant weights is those weights, and it does not share their memory."""
    trainer = Trainer(TrainOptions(height=36, width=60, out=tmp_path, network=TINY))
    average = WeightAverage(trainer.network, 0.9)
    before = average.state()
    with torch.no_grad():
        for parameter in trainer.network.parameters():
            parameter.add_(1.0)
    average.update()
    name, _ = next(trainer.network.named_parameters())
    moved = average.state()[name] - before[name]
    assert torch.allclose(moved, torch.full_like(moved, 1 - 2 / 11), atol=1e-5)


def test_size_is_height_by_width() -> None:
    """Sizes are written HEIGHTxWIDTH, and anything else is refused."""
    assert size_from_text("72x120") == (72, 120)
    with pytest.raises(argparse.ArgumentTypeError, match="72x120"):
        size_from_text("72")


def test_command_line_without_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """The command asks for the folder it must write to."""
    with pytest.raises(SystemExit) as stop:
        main(["--size", "36x60"])
    assert stop.value.code == 2
    assert "--out" in capsys.readouterr().err


def test_json_is_written_whole(tmp_path: Path) -> None:
    """The log replaces its predecessor and leaves no temporary file."""
    write_json(tmp_path / "log.json", [1])
    write_json(tmp_path / "log.json", [1, 2])
    assert json.loads((tmp_path / "log.json").read_text(encoding="utf-8")) == [1, 2]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("wrong", [{"minutes": 0.0}, {"steps": 0}])
def test_a_run_without_length_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    """A run of no minutes or no steps is a mistake."""
    with pytest.raises(ValueError, match="minutes above 0 or at least one step"):
        TrainOptions(height=36, width=60, out=tmp_path, **wrong)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_an_average_that_never_moves_is_refused(decay: float, tmp_path: Path) -> None:
    """A decay of 1 would keep the random start."""
    with pytest.raises(ValueError, match="the decay of the average lies from 0 to below 1"):
        TrainOptions(height=36, width=60, out=tmp_path, averaging=decay)


def test_continuing_at_another_size_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A checkpoint goes on at the size it was made for."""
    checkpoint.save(tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="a network for 36x60 pixels, not for 72x120"):
        train(TrainOptions(height=72, width=120, out=tmp_path, steps=1, init=tmp_path / "checkpoint.pt"))


def test_a_run_may_write_over_what_it_continues(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Continued in its own folder, a run remembers one predecessor, not itself."""
    checkpoint.save(tmp_path / "checkpoint.pt")
    options = TrainOptions(
        height=36, width=60, out=tmp_path, steps=2, batch=4, held_out=8, init=tmp_path / "checkpoint.pt"
    )
    first = train(options).training["continued_from"]
    assert first["steps"] == checkpoint.training["steps"]
    assert "continued_from" not in first


def test_errors_of_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be trained ends in one message and status 2."""
    from training.train import main

    missing = str(tmp_path / "none.pt")
    assert main(["--size", "36x60", "--steps", "1", "--out", str(tmp_path), "--init", missing]) == 2
    assert main(["--size", "10x10", "--steps", "1", "--out", str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert "none.pt" in errors
    assert "must be multiples of" in errors
