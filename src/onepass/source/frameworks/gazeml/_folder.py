"""GazeML's trained weights: a folder such as ``ELG_i60x36_f60x36_n32_m2`` with TensorFlow checkpoints.

Neither TensorFlow nor GazeML is needed: the folder's name defines the network (`_elg`), and the checkpoint contains its
variables by name (`_tensor_bundle`). No code is executed.

The weights are available from https://github.com/swook/GazeML (``get_trained_weights.bash``), and unpack to
``FOLDER/checkpoints/hourglass`` and ``FOLDER/checkpoints/radius``; checkpoints directly in the folder work as well.

GazeML's own demo normalises each batch by its own statistics, so an eye's landmarks depend on the other eyes in the
batch. The network written here uses the stored means and variances, as is usual after training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onepass._errors import ModelFormatError, ModelNotFoundError
from onepass.outputs import Array
from onepass.source.framework import Request
from onepass.source.frameworks.gazeml._elg import ElgSize, elg, unused_variables
from onepass.source.frameworks.gazeml._elg_numpy import NumpyLayers
from onepass.source.frameworks.gazeml._elg_onnx import elg_graph, elg_signature
from onepass.source.frameworks.gazeml._tensor_bundle import TensorBundle

_CURRENT = re.compile(r'^model_checkpoint_path: "(?:.*[/\\])?(.+)"', re.MULTILINE)
_LISTED_FAULTS = 20
_PREFIXES = ("hourglass/", "radius/")


class _GazeMl:
    """An ELG network with the weights of a folder."""

    framework = "GazeML"

    def __init__(self, folder: Path) -> None:
        self._size = ElgSize.from_folder_name(folder)
        bundles = _checkpoints(folder)
        self.version = ", ".join(dict.fromkeys(bundle.prefix.name for bundle in bundles))
        self.signature = elg_signature(self._size)
        self.examples: Mapping[str, Array] = {}
        self._variables = _variables(folder, bundles, self._size)

    def export(self, opset: int) -> onnx.ModelProto:
        """Return the network as ONNX."""
        return elg_graph(self._weight, self._size, opset=opset)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the network in NumPy."""
        eye = inputs["eye"].astype(np.float64).transpose(0, 2, 3, 1)
        outputs = elg(NumpyLayers(self._weight), eye, self._size)
        outputs["heatmaps"] = outputs["heatmaps"].transpose(0, 3, 1, 2)
        return {name: array.astype(np.float32) for name, array in outputs.items()}

    def _weight(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        return self._variables[name].reshape(shape)


def open_(source: Path, request: Request) -> _GazeMl:  # noqa: ARG001 - every framework's function takes both
    """Open a GazeML weights folder.

    Raises:
        ModelNotFoundError: The folder, a checkpoint, or one of its files is missing.
        ModelFormatError: The folder's name is not one of GazeML's; variables do not match the network that the name
            defines; or a file is truncated or damaged.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise ModelNotFoundError(f"folder {folder} not found; expected GazeML's unpacked weights")
    return _GazeMl(folder)


def _checkpoints(folder: Path) -> tuple[TensorBundle, ...]:
    inner = folder / "checkpoints"
    places = [folder, inner, *sorted(place for place in inner.glob("*") if place.is_dir())]
    bundles = tuple(TensorBundle(prefix) for place in places if (prefix := _current(place)) is not None)
    if not bundles:
        raise ModelNotFoundError(
            f"no checkpoint found in {folder}, in {inner.name}, or in its subfolders; expected files such as "
            "model-12.index and model-12.data-00000-of-00001. Unpack GazeML's archive again"
        )
    return bundles


def _current(place: Path) -> Path | None:
    """Return the prefix of a folder's newest checkpoint, which TensorFlow records in the file ``checkpoint``."""
    note = place / "checkpoint"
    if note.is_file():
        found = _CURRENT.search(note.read_text(encoding="utf-8", errors="replace"))
        if found is None:
            raise ModelFormatError(f'{note} names no checkpoint; expected a line model_checkpoint_path: "model-12"')
        return place / found[1]  # the recorded folder is on the machine of the training
    indices = sorted(place.glob("*.index"))
    if len(indices) > 1:
        raise ModelFormatError(
            f"{place} contains {len(indices)} checkpoints ({', '.join(path.stem for path in indices)}), but no file "
            "'checkpoint' that selects one; keep only one of them"
        )
    return indices[0].with_suffix("") if indices else None


def _variables(folder: Path, bundles: tuple[TensorBundle, ...], size: ElgSize) -> dict[str, npt.NDArray[Any]]:
    """Read the network's variables, and check that they match the network exactly."""
    expected = _expected_shapes(size)
    found = {name: bundle for bundle in bundles for name in bundle.shapes if name.startswith(_PREFIXES)}
    faults = [f"{name} is missing" for name in expected if name not in found]
    for name, bundle in found.items():
        shape = bundle.shapes[name]
        if name in expected and shape != expected[name]:
            faults.append(f"{name}: expected {list(expected[name])}, got {list(shape)}")
        elif name not in expected and name not in unused_variables(size):
            faults.append(f"{name} belongs to no layer")
    if faults:
        more = f" … and {len(faults) - _LISTED_FAULTS} more" if len(faults) > _LISTED_FAULTS else ""
        raise ModelFormatError(
            f"the checkpoint in {folder} does not match the network that the folder's name defines: "
            f"{'; '.join(faults[:_LISTED_FAULTS])}{more}"
        )
    variables = {name: found[name].read(name) for name in expected}
    broken = [name for name, array in variables.items() if not np.isfinite(array).all()]
    if broken:
        raise ModelFormatError(f"the checkpoint in {folder} has non-finite values in {', '.join(broken)}")
    return variables


def _expected_shapes(size: ElgSize) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the variables that the network reads."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        shapes[name] = shape
        return np.zeros(shape, np.float32)

    elg_graph(note, size, opset=17)
    return shapes
