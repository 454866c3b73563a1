"""Train an ELG network on eyes rendered on the fly.

``python -m training.train --size 72x120 --minutes 9 --out runs/large`` writes ``checkpoint.pt`` and ``log.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.checkpoint import Checkpoint, load_checkpoint, write_json
from training.losses import LossParts, Schedule, measure_loss
from training.network import Elg, NetworkConfig
from training.renderer import Renderer, make_renderer
from training.synthetic import HELD_OUT_SEED, Array, Predictor, SyntheticErrors, measure_synthetic

_REPORT_SECONDS = 30.0
_WEIGHT_DECAY = 1e-4
_GRADIENT_LIMIT = 1.0
_DIVERGED_LOSS = 100.0
"""An untrained network starts near 10."""


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """One training run.

    Attributes:
        height: input pixels.
        width: input pixels.
        out: folder for ``checkpoint.pt`` and ``log.json``.
        minutes: wall time, compilation included; ignored when ``steps`` is set.
        steps: optimiser steps, for runs that must not depend on the machine's speed.
        batch: pictures for each step.
        seed: of weights and pictures.
        device: ``cpu`` or ``cuda``.
        compiled: use ``torch.compile`` for the renderer, where it helps most.
        init: checkpoint to continue from, at full difficulty; its network takes the place of ``network``.
        learning_rate: peak of the schedule.
        averaging: decay of the running average of the weights; the average is kept.
        jitter: final share of the crop error: less fits well-placed crops better, and shifted ones worse.
        degradation: final share of blur, noise, low resolution and compression.
        float32: compute in float32 on a GPU too, at a third of the speed; useful for the final stage.
        held_out: rendered eyes to measure on at the end.
        network: size of the network; by default the one for the input size.
    """

    height: int
    width: int
    out: Path
    minutes: float = 9.0
    steps: int | None = None
    batch: int = 256
    seed: int = 0
    device: str = "cpu"
    compiled: bool = False
    init: Path | None = None
    learning_rate: float = 1.5e-3
    averaging: float = 0.999
    jitter: float = 1.0
    degradation: float = 1.0
    float32: bool = False
    held_out: int = 2048
    network: NetworkConfig | None = None

    def __post_init__(self) -> None:
        if self.seed == HELD_OUT_SEED:
            raise ValueError(f"seed {self.seed} is kept for measuring; take another")
        if self.minutes <= 0 or (self.steps is not None and self.steps < 1):
            raise ValueError(f"a run needs minutes above 0 or at least one step, got {self.minutes} and {self.steps}")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"the decay of the average lies from 0 to below 1, got {self.averaging}")


class WeightAverage:
    """Running average of a network's parameters and buffers."""

    def __init__(self, network: Elg, decay: float) -> None:
        self._source = network.state_dict()
        self._average = {name: tensor.detach().clone() for name, tensor in self._source.items()}
        self._decay = decay
        self._updates = 0
        names = [name for name, tensor in self._source.items() if tensor.is_floating_point()]
        self._floating = [self._average[name] for name in names], [self._source[name] for name in names]

    def update(self) -> None:
        """Move towards the network's present state; early updates move further, to forget the random start."""
        self._updates += 1
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        average, source = self._floating
        torch._foreach_lerp_(average, source, 1 - decay)

    def state(self) -> dict[str, Tensor]:
        """The averaged state on the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._average.items()}


class Trainer:
    """A network, its optimiser and its source of pictures.

    Args:
        options: the run.
    """

    def __init__(self, options: TrainOptions) -> None:
        self.options = options
        torch.manual_seed(options.seed)
        self.device = torch.device(options.device)
        # Read once: the run may write its own checkpoint over it.
        self.continued = None if options.init is None else load_checkpoint(options.init)
        self.network = self._make_network().to(self.device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.schedule = Schedule(
            options.learning_rate,
            refining=options.init is not None,
            jitter=options.jitter,
            degradation=options.degradation,
        )
        on_gpu = self.device.type == "cuda"
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=0.0, weight_decay=_WEIGHT_DECAY, fused=on_gpu, betas=(0.9, 0.99)
        )
        self.average = WeightAverage(self.network, options.averaging)
        self.generator = torch.Generator(self.device).manual_seed(options.seed)
        self.renderer: Renderer = make_renderer(options.height, options.width, compiled=options.compiled)

    def _make_network(self) -> Elg:
        options = self.options
        if self.continued is None:
            return Elg(options.network or NetworkConfig.for_size(options.height, options.width))
        config = self.continued.config
        if (config.height, config.width) != (options.height, options.width):
            raise ValueError(
                f"{options.init} is a network for {config.height}x{config.width} pixels, not for "
                f"{options.height}x{options.width}"
            )
        return self.continued.network()

    def step(self, progress: float) -> LossParts:
        """Render a batch and take one step; ``progress`` from 0 to 1 sets difficulty and learning rate."""
        batch = self.renderer(self.options.batch, self.generator, self.schedule.difficulty(progress))
        sigma_px = torch.tensor(self.schedule.heatmap_sigma_px(progress), device=self.device)
        landmark_weight = torch.tensor(self.schedule.landmark_weight(progress), device=self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.learning_rate(progress)
        self.network.train()
        # On a GPU only: most CPUs emulate bfloat16, several times slower than float32.
        half = self.device.type == "cuda" and not self.options.float32
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            parts = measure_loss(self.network, batch, sigma_px, landmark_weight)
        self.optimiser.zero_grad(set_to_none=True)
        parts.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _GRADIENT_LIMIT)
        self.optimiser.step()
        self.average.update()
        return parts

    def measure(self, eyes: int) -> SyntheticErrors:
        """Errors of the averaged weights on held-out rendered eyes."""
        network = Elg(self.network.config)
        network.load_state_dict(self.average.state())
        predict = predictor_from_network(network.eval().to(self.device))
        batch = min(self.options.batch, eyes)
        return measure_synthetic(predict, self.renderer, eyes=eyes, batch=batch, device=self.options.device)


def predictor_from_network(network: Elg) -> Predictor:
    """Wrap a PyTorch network for measuring."""
    device = next(network.parameters()).device

    def predict(eyes: Array) -> tuple[Array, Array]:
        with torch.no_grad():
            _, landmarks, radius = network(torch.from_numpy(eyes).to(device))
        return landmarks.cpu().numpy(), radius[:, 0].cpu().numpy()

    return predict


def train(options: TrainOptions) -> Checkpoint:
    """Train, write ``checkpoint.pt`` and ``log.json`` into ``options.out``, and return the checkpoint.

    Raises:
        RuntimeError: the loss diverged.
        ValueError: the checkpoint to continue from is for another size.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    if options.device == "cuda":
        torch.set_float32_matmul_precision("highest" if options.float32 else "high")
        torch.backends.cudnn.allow_tf32 = not options.float32
    trainer = Trainer(options)
    log: list[dict[str, Any]] = []
    started = reported = time.monotonic()
    step, progress = 0, 0.0
    while progress < 1:
        parts = trainer.step(progress)
        step += 1
        now = time.monotonic()
        spent = step / options.steps if options.steps else (now - started) / (60 * options.minutes)
        progress = min(1.0, spent)
        if now - reported > _REPORT_SECONDS or progress >= 1:
            reported = now
            log.append(_log_entry(parts, step, step * options.batch, now - started))
            print(log[-1], flush=True)
            _refuse_divergence(log[-1])
            write_json(options.out / "log.json", log)
            _checkpoint(trainer, log[-1], {}).save(options.out / "checkpoint.pt")
    errors = dataclasses.asdict(trainer.measure(options.held_out))
    print(errors, flush=True)
    checkpoint = _checkpoint(trainer, log[-1], errors)
    checkpoint.save(options.out / "checkpoint.pt")
    write_json(options.out / "log.json", [*log, {"held_out": errors}])
    return checkpoint


def _refuse_divergence(entry: dict[str, Any]) -> None:
    """Stop a diverged run early."""
    if not entry["total"] < _DIVERGED_LOSS:
        raise RuntimeError(f"training diverged at step {entry['step']}: loss {entry['total']}; lower the learning rate")


def _log_entry(parts: LossParts, step: int, images: int, seconds: float) -> dict[str, Any]:
    losses = {name: round(value.detach().item(), 5) for name, value in parts._asdict().items()}
    return {"step": step, "images": images, "seconds": round(seconds, 1), **losses}


def _checkpoint(trainer: Trainer, entry: dict[str, Any], errors: dict[str, Any]) -> Checkpoint:
    options = trainer.options
    on_gpu = trainer.device.type == "cuda"
    facts = {
        "images": entry["images"],
        "steps": entry["step"],
        "seconds": entry["seconds"],
        "batch": options.batch,
        "seed": options.seed,
        "learning_rate": options.learning_rate,
        "averaging": options.averaging,
        "float32": options.float32 or not on_gpu,
        "jitter": options.jitter,
        "degradation": options.degradation,
        "device": torch.cuda.get_device_name(trainer.device) if on_gpu else "cpu",
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }
    if trainer.continued is not None:
        facts["continued_from"] = trainer.continued.training
    return Checkpoint(trainer.network.config, trainer.average.state(), facts, errors)


def size_from_text(text: str) -> tuple[int, int]:
    """Height and width from ``72x120``."""
    height, separator, width = text.partition("x")
    if not separator or not height.isdigit() or not width.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH, such as 72x120")
    return int(height), int(width)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train an ELG on rendered eyes.")
    parser.add_argument("--size", type=size_from_text, default=(72, 120), help="input as HEIGHTxWIDTH (72x120)")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.pt and log.json")
    parser.add_argument("--minutes", type=float, default=9.0, help="wall time (9)")
    parser.add_argument("--steps", type=int, help="optimiser steps, instead of --minutes")
    parser.add_argument("--batch", type=int, default=256, help="pictures for each step (256)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and pictures (0)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to render and train (cpu)")
    parser.add_argument("--compile", action="store_true", help="compile the renderer: a minute, then ten times faster")
    parser.add_argument("--init", type=Path, help="checkpoint to continue from, at full difficulty")
    parser.add_argument("--learning-rate", type=float, default=1.5e-3, help="peak (0.0015)")
    parser.add_argument("--averaging", type=float, default=0.999, help="decay of the weights' average (0.999)")
    parser.add_argument("--float32", action="store_true", help="compute in float32 on a GPU too, for a final stage")
    parser.add_argument("--jitter", type=float, default=1.0, help="final share of the crop error, 0..1 (1)")
    parser.add_argument("--degradation", type=float, default=1.0, help="final share of degraded pictures, 0..1 (1)")
    given = parser.parse_args(arguments)
    try:
        height, width = given.size
        train(
            TrainOptions(
                height=height,
                width=width,
                out=given.out,
                minutes=given.minutes,
                steps=given.steps,
                batch=given.batch,
                seed=given.seed,
                device=given.device,
                compiled=given.compile,
                init=given.init,
                learning_rate=given.learning_rate,
                averaging=given.averaging,
                float32=given.float32,
                jitter=given.jitter,
                degradation=given.degradation,
            )
        )
    except (ValueError, OSError, RuntimeError) as error:
        print(f"training.train: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
