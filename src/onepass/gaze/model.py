"""The ELG network: packaged weights, the required signature, and the decoding of its outputs.

ELG ("eye landmarks and gaze": Park, Zhang, Bulling and Hilliges, "Learning to find eye region landmarks for remote gaze
estimation in unconstrained settings", ETRA 2018) takes eye crops and computes, in one pass,

- ``heatmaps`` float32 [N, 18, h, w], one map per landmark,
- ``landmarks`` float32 [N, 18, 2] in crop pixels: 0 to 7 eyelid, 8 to 15 iris edge, 16 iris centre, 17 eyeball centre,
- ``radius`` float32 [N, 1], the eyeball's radius in crop pixels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onepass._errors import ModelNotFoundError, UnsupportedModelError
from onepass.gaze import geometry
from onepass.gaze.confidence import VISIBLE_POINTS, ConfidenceScale
from onepass.gaze.directions import Gaze
from onepass.gaze.eyes import EyeCrops
from onepass.gaze.lids import is_shut, openness_of
from onepass.gaze.result import Eye
from onepass.runtime import ModelSpec, Session, load
from onepass.tensors import Signature

PACKAGED_MODELS: Mapping[str, str] = {"default": "elg_120x72.onnx", "small": "elg_60x36.onnx"}
"""Names of the bundled weights, and their files (crop width x height in the name)."""

INPUT = "eye"
_OUTPUT_SHAPES: Mapping[str, tuple[int | None, ...]] = {
    "heatmaps": (None, 18, None, None),
    "landmarks": (None, 18, 2),
    "radius": (None, 1),
}
_EYELID, _IRIS, _IRIS_CENTRE, _EYEBALL_CENTRE = slice(0, 8), slice(8, 16), 16, 17
_MIN_RADIUS_PX = 1.0


def open_model(model: str | os.PathLike[str] | ModelSpec = "default") -> Session:
    """Open packaged weights by name, or a model file by path.

    Args:
        model: "default" (crops of 120 x 72 pixels), "small" (60 x 36), a path that `onepass.load` accepts, or a
            `ModelSpec` of one of these, with options such as GPU, threads or TensorRT flavor:
            ``ModelSpec("elg.engine", device=1)``.

    Raises:
        ModelNotFoundError: The model is neither a bundled name nor an existing file.
        ModelFormatError: The file is damaged, or in a format that cannot run here.
        DeviceError: The GPU does not exist.
        InputError: This kind of model does not support an option of the spec; the bundled weights are ONNX models.
    """
    return load(model_spec(model))


def model_spec(model: str | os.PathLike[str] | ModelSpec = "default") -> ModelSpec:
    """Return the `ModelSpec` of a model for `open_model`.

    Raises:
        ModelNotFoundError: The model is neither a bundled name nor an existing file.
    """
    if isinstance(model, ModelSpec):
        return replace(model, path=str(model_path(model.path)))
    return ModelSpec(str(model_path(model)))


def model_path(model: str | os.PathLike[str] = "default") -> Path:
    """Return the path of bundled weights by name; return the path of a model file unchanged.

    Raises:
        ModelNotFoundError: The model is neither a bundled name nor an existing file.
    """
    if isinstance(model, str) and model in PACKAGED_MODELS:
        return Path(__file__).parent / "data" / PACKAGED_MODELS[model]
    if not Path(model).is_file():
        raise ModelNotFoundError(
            f"no model file {os.fspath(model)!r}, and no bundled model of this name; expected a path or one of "
            f"{', '.join(map(repr, PACKAGED_MODELS))}"
        )
    return Path(model)


def crop_size_px(signature: Signature) -> tuple[int, int]:
    """Check that a model is an ELG network and return the width and height of its crops.

    Raises:
        UnsupportedModelError: The inputs or outputs differ; the message lists the model's and the expected ones.
    """
    faults = [*_input_faults(signature), *_output_faults(signature)]
    if faults:
        raise UnsupportedModelError(
            f"this is not an ELG eye network: {'; '.join(faults)}. Expected an input {INPUT!r} float32 [N, 1, H, W] "
            "and outputs 'heatmaps' [N, 18, h, w], 'landmarks' [N, 18, 2] and 'radius' [N, 1]. "
            f"The model has\n{signature}"
        )
    shape = signature.inputs[0].shape or ()
    return int(shape[3] or 0), int(shape[2] or 0)


def _input_faults(signature: Signature) -> list[str]:
    """Return how a model's inputs differ from those of an ELG network."""
    if signature.input_names != (INPUT,):
        return [f"its inputs are {list(signature.input_names)}"]
    spec = signature.inputs[0]
    shape = spec.shape
    if shape is None or len(shape) != 4 or shape[1] != 1 or not all(isinstance(side, int) for side in shape[2:]):
        return [f"input {INPUT!r} is {spec}"]
    return [] if spec.dtype == np.float32 else [f"input {INPUT!r} is {spec}"]


def _output_faults(signature: Signature) -> list[str]:
    """Return how a model's outputs differ from those of an ELG network; additional outputs are allowed."""
    specs = {spec.name: spec for spec in signature.outputs}
    faults = []
    for name, expected in _OUTPUT_SHAPES.items():
        if name not in specs:
            faults.append(f"it has no output {name!r}")
        elif not _fits(specs[name].shape, expected):
            faults.append(f"output {name!r} is {specs[name]}")
    return faults


def _fits(shape: tuple[int | str | None, ...] | None, expected: tuple[int | None, ...]) -> bool:
    """Whether a declared shape is compatible with the expected one; dynamic sizes match any size."""
    if shape is None:
        return True
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(not isinstance(a, int) or b is None or a == b for a, b in pairs)


def eyes_from_outputs(
    outputs: Mapping[str, npt.NDArray[Any]], crops: EyeCrops, scale: ConfidenceScale | None = None
) -> list[Eye]:
    """Decode the network's outputs into eyes, in picture pixels.

    Angles are computed from the points in the picture, where the crop's mirroring and roll are undone.

    Args:
        outputs: The network's outputs for ``crops.batch()``.
        crops: The crops.
        scale: Maps heatmap peaks to confidences; None uses the peaks themselves.
    """
    back = np.array([geometry.invert(transform) for transform in crops.transforms]).reshape(-1, 2, 3)
    points = outputs["landmarks"].astype(np.float64) @ back[:, :, :2].transpose(0, 2, 1) + back[:, None, :, 2]
    # For crops without an eye, the network can return anything, but a sphere needs a positive size.
    radii = np.maximum(outputs["radius"].astype(np.float64).reshape(-1), _MIN_RADIUS_PX)
    radii *= [geometry.scale_of(transform) for transform in back]
    pitches, yaws = geometry.gaze_angles(points[:, _IRIS_CENTRE], points[:, _EYEBALL_CENTRE], radii)
    peaks = peaks_of_heatmaps(outputs["heatmaps"])
    confidences = np.clip(peaks, 0, 1) if scale is None else scale(peaks)
    return [
        Eye(
            side=side,
            blink=is_shut(openness_of(seen[_EYELID])),
            eyelid=seen[_EYELID],
            iris=seen[_IRIS],
            iris_centre=seen[_IRIS_CENTRE],
            eyeball_centre=seen[_EYEBALL_CENTRE],
            eyeball_radius_px=radius_px,
            gaze=Gaze(pitch_rad, yaw_rad),
            confidence=confidence,
            point_confidences=point_confidences,
        )
        for side, seen, radius_px, pitch_rad, yaw_rad, confidence, point_confidences in zip(
            crops.sides, points, radii.tolist(), pitches.tolist(), yaws.tolist(), confidences.mean(axis=1).tolist(),
            confidences, strict=True,
        )
    ]  # fmt: skip


def peaks_of_heatmaps(heatmaps: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the heatmap peaks of the visible points, float64 [N, 17].

    The eyeball's centre is omitted, because it is never visible.

    Args:
        heatmaps: float [N, 18, h, w].
    """
    peaks: npt.NDArray[np.float64] = heatmaps[:, :VISIBLE_POINTS].max(axis=(2, 3)).astype(np.float64)
    return peaks
