"""Write a trained network as ONNX: ``python -m training.export CHECKPOINT -o model.onnx``.

The graph has one input, ``eye``, and the outputs ``heatmaps``, ``landmarks`` and ``radius``, all with the batch
dimension ``N``. Batch normalisation is folded into the convolutions, and the result is compared with PyTorch before the
file is kept.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from onepass.artifacts import replacing
from training.checkpoint import Checkpoint, load_checkpoint
from training.losses import network_input
from training.network import LANDMARK_COUNT, Elg, fold_normalisation
from training.renderer import Difficulty, render

OPSET = 17
INPUT_NAME = "eye"
OUTPUT_NAMES = ("heatmaps", "landmarks", "radius")
TOLERANCES = {"heatmaps": 0.001, "landmarks": 0.05, "radius": 0.05}
"""Largest difference to PyTorch, by output: heatmap values peak near 1, the others are input pixels."""
SIZE_LIMIT_BYTES = 3_000_000
_PARITY_EYES = 8


class ExportError(RuntimeError):
    """The exported graph differs from the trained network."""


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """The written file, and its difference from PyTorch.

    Attributes:
        path: the file.
        size_bytes: its size.
        parameters: trained numbers in it.
        landmark_difference_px: largest difference to PyTorch over rendered eyes.
        radius_difference_px: likewise.
        nodes: operations in the graph.
    """

    path: Path
    size_bytes: int
    parameters: int
    landmark_difference_px: float
    radius_difference_px: float
    nodes: int


def export_checkpoint(checkpoint: Checkpoint, path: Path) -> ExportReport:
    """Export, check and write a network.

    Args:
        checkpoint: the trained network.
        path: the ONNX file; written under another name, then renamed.

    Raises:
        ExportError: the graph disagrees with PyTorch, or the file is too large.
    """
    network = checkpoint.network()
    model = onnx_from_network(network)
    for key, value in metadata_from_checkpoint(checkpoint).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    if len(content) > SIZE_LIMIT_BYTES:
        raise ExportError(f"{path}: {len(content)} bytes, expected at most {SIZE_LIMIT_BYTES}; narrow the network")
    differences = _differences(content, checkpoint.network())
    for name, limit in TOLERANCES.items():
        if not differences[name] <= limit:
            raise ExportError(f"{path}: {name} are {differences[name]:.4f} from PyTorch's, at most {limit} is allowed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    parameters = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    return ExportReport(
        path, len(content), parameters, differences["landmarks"], differences["radius"], len(model.graph.node)
    )


def onnx_from_network(network: Elg) -> onnx.ModelProto:
    """The network as a checked graph without normalisations and without identities; ``network`` is folded in place."""
    config = network.config
    example = torch.zeros(2, 1, config.height, config.width)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter that traces is deprecated but gives the cleaner graph: no functions, no value copies.
        warnings.simplefilter("ignore")
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            fold_normalisation(network),
            (example,),
            str(file),
            input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES),
            dynamic_axes={name: {0: "N"} for name in (INPUT_NAME, *OUTPUT_NAMES)},
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(file))
    _drop_identities(model)
    _state_shapes(model, network)
    _name_nodes(model)
    model.producer_name = "onepass training"
    return model


def _drop_identities(model: onnx.ModelProto) -> None:
    """Connect what follows an Identity to what precedes it; the exporter leaves some for shared constants."""
    renamed = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Identity"}
    kept = [node for node in model.graph.node if node.op_type != "Identity"]
    for node in kept:
        for index, given in enumerate(node.input):
            name = given
            while name in renamed:
                name = renamed[name]
            node.input[index] = name
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _state_shapes(model: onnx.ModelProto, network: Elg) -> None:
    """Give every output its full shape; tracing loses the sizes behind a Reshape."""
    config = network.config
    sizes: dict[str, tuple[int, ...]] = {
        "heatmaps": (LANDMARK_COUNT, config.height // config.stride, config.width // config.stride),
        "landmarks": (LANDMARK_COUNT, 2),
        "radius": (1,),
    }
    for output in model.graph.output:
        info = onnx.helper.make_tensor_value_info(output.name, onnx.TensorProto.FLOAT, ["N", *sizes[output.name]])
        output.CopyFrom(info)


def _name_nodes(model: onnx.ModelProto) -> None:
    """Short names in the order of computation, such as ``Conv_12``, in place of the traced module paths."""
    counts: dict[str, int] = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, -1) + 1
        node.name = f"{node.op_type}_{counts[node.op_type]}"


def metadata_from_checkpoint(checkpoint: Checkpoint) -> dict[str, str]:
    """Facts for ``metadata_props``: conventions, size, training, and how to make the file again."""
    config, training = checkpoint.config, checkpoint.training
    return {
        "task": "eye-region landmarks (ELG, Park et al. 2018)",
        "input": f"eye: float32 [N, 1, {config.height}, {config.width}], grey, histogram-equalised, x / 127.5 - 1, "
        "levelled, nasal corner left, 1.5 eye-corner distances wide",
        "landmarks": "input pixels, pixel centres at x.5; 0-7 eyelids (nasal corner, upper lid, temporal corner, "
        "lower lid), 8-15 iris edge (nasal first, over the top), 16 eyeball centre + radius * gaze, 17 eyeball centre",
        "radius": "eyeball radius, input pixels",
        "licence": "Apache-2.0",
        "trained_on": "rendered eyes only (training/renderer)",
        "config": json.dumps(dataclasses.asdict(config)),
        "training": json.dumps(training),
        "held_out_rendered": json.dumps(checkpoint.validation),
        "made_by": _commands(config.height, config.width, training),
    }


def _commands(height: int, width: int, training: dict[str, Any]) -> str:
    """The commands of the run that made the weights, and of all earlier runs it builds on, first to last.

    The minutes are those that were run. A state from the middle of a run was further from its schedule's end than a run
    of so many minutes is.
    """
    lines: list[str] = []
    written: dict[str, str] = {}

    def checkpoint_of(run: dict[str, Any]) -> str:
        """Write the commands of a run, unless they are there already; return where they leave its checkpoint."""
        known = json.dumps(run, sort_keys=True)
        if known not in written:
            if "mean_of" in run:
                parts = " ".join(f"{checkpoint_of(part['training'])}={part['weight']}" for part in run["mean_of"])
                lines.append(f"python -m training.average {parts} -o runs/{len(lines)}/checkpoint.pt")
            else:
                init = f" --init {checkpoint_of(run['continued_from'])}" if "continued_from" in run else ""
                lines.append(_train_command(height, width, run) + f" --out runs/{len(lines)}" + init)
            written[known] = f"runs/{len(lines) - 1}/checkpoint.pt"
        return written[known]

    last = checkpoint_of(training)
    return "; ".join([*lines, f"python -m training.export {last} -o elg_{width}x{height}.onnx"])


def _train_command(height: int, width: int, run: dict[str, Any]) -> str:
    """The command of one run, without its initial checkpoint and output folder."""
    where = "cpu" if run["device"] == "cpu" else "cuda --compile" + " --float32" * run.get("float32", False)
    return (
        f"python -m training.train --size {height}x{width} --batch {run['batch']} --seed {run['seed']} "
        f"--device {where} --jitter {run.get('jitter', 1.0)} --degradation {run.get('degradation', 1.0)} "
        f"--learning-rate {run['learning_rate']} --averaging {run.get('averaging', 0.999)} "
        f"--minutes {run['seconds'] / 60:.1f}"
    )


def _differences(content: bytes, network: Elg) -> dict[str, float]:
    """Largest difference of each output between ONNX Runtime and PyTorch, over rendered eyes."""
    config = network.config
    batch = render(
        _PARITY_EYES,
        config.height,
        config.width,
        generator=torch.Generator().manual_seed(0),
        difficulty=Difficulty(1, 1, 0),
    )
    eyes = network_input(batch.image)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    largest = dict.fromkeys(OUTPUT_NAMES, 0.0)
    for count in (1, _PARITY_EYES):  # the batch dimension must be free
        with torch.no_grad():
            expected = network(eyes[:count])
        found = session.run(list(OUTPUT_NAMES), {INPUT_NAME: eyes[:count].numpy()})
        for name, ours, theirs in zip(OUTPUT_NAMES, found, expected, strict=True):
            largest[name] = max(largest[name], float(np.abs(ours - theirs.numpy()).max()))
    return largest


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description="Write a trained network as ONNX.")
    parser.add_argument("checkpoint", type=Path, help="checkpoint.pt of training.train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file")
    given = parser.parse_args(arguments)
    try:
        report = export_checkpoint(load_checkpoint(given.checkpoint), given.output)
    except (ValueError, OSError, ExportError) as error:
        print(f"training.export: {error}", file=sys.stderr)
        return 2
    print(
        f"{report.path}: {report.size_bytes} bytes, {report.parameters} parameters, {report.nodes} nodes; "
        f"largest difference to PyTorch {report.landmark_difference_px:.5f} px (landmarks), "
        f"{report.radius_difference_px:.5f} px (radius)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
