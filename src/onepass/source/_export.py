"""A framework's results: the exported ONNX model, and reference outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onepass._errors import UnsupportedModelError
from onepass.graph import OnnxGraph
from onepass.graph.model import with_weights_outside
from onepass.outputs import Array
from onepass.source._reference import Case, reference_cases
from onepass.source._samples import samples_of
from onepass.source.framework import Trained
from onepass.tensors import Signature, TensorSpec

_MODEL, _FACTS = "model.onnx", "export.json"


@dataclass(frozen=True, slots=True)
class FrameworkExport:
    """All results of a framework; the rest of the conversion runs without it.

    Attributes:
        framework: Name and version of the framework.
        signature: Inputs and outputs as the source declares them.
        graph: The exported network; weights too large for one protobuf message are in a file.
        cases: Reference inputs and outputs; empty if not requested.
    """

    framework: str
    signature: Signature
    graph: OnnxGraph
    cases: tuple[Case, ...]

    def save(self, folder: Path) -> None:
        """Write everything to a folder; `load` reads it without executing anything."""
        self.graph.save(folder / _MODEL)
        for index, case in enumerate(self.cases):
            for kind, specs, arrays in (
                ("inputs", self.signature.inputs, case.inputs), ("outputs", self.signature.outputs, case.outputs)
            ):  # fmt: skip
                np.savez(folder / f"{index}.{kind}.npz", *(arrays[spec.name] for spec in specs))
        facts = {
            "framework": self.framework,
            "signature": self.signature.to_json(),
            "cases": [case.name for case in self.cases],
        }
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FrameworkExport:
        """Read the result of `save`; keep the folder while the result is in use, since it may hold the weights."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        signature = Signature.from_json(facts["signature"])
        return cls(
            facts["framework"],
            signature,
            OnnxGraph.load(folder / _MODEL),
            tuple(
                Case(
                    name,
                    _arrays(folder / f"{index}.inputs.npz", signature.inputs),
                    _arrays(folder / f"{index}.outputs.npz", signature.outputs),
                )
                for index, name in enumerate(facts["cases"])
            ),
        )


def export_network(
    trained: Trained, *, opset: int, verify: bool, scratch: Path, given: Any = None, batch: int | None = None
) -> FrameworkExport:
    """Export a network, and run it in its own framework on random and extreme inputs.

    Args:
        trained: The network.
        opset: ONNX opset version.
        verify: Whether to run the network.
        given: Inputs to run it on; see `samples_of`.
        batch: An additional batch size to run, if the batch is dynamic.
        scratch: A folder for the weights of models over 2 GB; keep it while the result is in use.

    Raises:
        ConversionError: Computed outputs contradict the declared ones.
        UnsupportedModelError: The network cannot be exported, or has an input of unknown rank.
    """
    for spec in trained.signature.inputs:
        if spec.shape is None:
            raise UnsupportedModelError(
                f"the source does not declare the rank of its input {spec.name!r}, which ONNX requires; export it "
                "again with shapes (a TensorFlow 1 graph: as_graph_def(add_shapes=True), or as a SavedModel)"
            )
    graph = with_weights_outside(trained.export(opset), scratch / _MODEL)
    cases = tuple(reference_cases(trained, samples_of(trained, given), batch=batch)) if verify else ()
    return FrameworkExport(f"{trained.framework} {trained.version}", trained.signature, graph, cases)


def _arrays(file: Path, specs: tuple[TensorSpec, ...]) -> dict[str, Array]:
    with np.load(file, allow_pickle=False) as arrays:
        # NumPy files store bfloat16 and float8 as raw bytes.
        return {spec.name: arrays[f"arr_{index}"].view(spec.dtype) for index, spec in enumerate(specs)}
