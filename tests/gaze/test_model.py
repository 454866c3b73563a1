"""What a model must look like, and what its outputs say."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass import InputError, ModelNotFoundError, ModelSpec, TensorSpec, UnsupportedModelError
from onepass.artifacts import sha256_of
from onepass.engine import Plan
from onepass.gaze import PACKAGED_MODELS, ConfidenceScale, EyeCrops, GazeEstimator, geometry, open_model
from onepass.gaze.model import crop_size_px, eyes_from_outputs, model_path

from .conftest import CROP_PX, ELG_SIGNATURE, ideal_landmarks


def spec(name: str, *shape: Any, dtype: str = "float32") -> TensorSpec:
    """Return the spec of one tensor."""
    return TensorSpec(name, np.dtype(dtype), shape)


def test_the_crop_size_is_the_models() -> None:
    """Width and height come from the input's shape, width first."""
    assert crop_size_px(ELG_SIGNATURE) == CROP_PX


def test_unknown_shapes_and_further_outputs_are_welcome() -> None:
    """Dynamic sizes fit anything, and an ELG network may have outputs of its own besides."""
    outputs = (
        TensorSpec("heatmaps", np.dtype("float32"), None),
        spec("landmarks", "N", "points", 2),
        spec("radius", "N", 1),
    )
    assert crop_size_px(replace(ELG_SIGNATURE, outputs=(*outputs, spec("gaze", "N", 2)))) == CROP_PX


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": (spec("image", "N", 1, 72, 120),)}, r"its inputs are \['image'\]"),
        ({"inputs": (*ELG_SIGNATURE.inputs, spec("training", 1))}, r"its inputs are \['eye', 'training'\]"),
        ({"inputs": (spec("eye", "N", 72, 120, 1),)}, r"input 'eye' is float32 \[N, 72, 120, 1\]"),
        ({"inputs": (spec("eye", "N", 1, "h", "w"),)}, r"input 'eye' is float32 \[N, 1, h, w\]"),
        ({"inputs": (spec("eye", "N", 1, 72, 120, dtype="float16"),)}, "input 'eye' is float16"),
        ({"outputs": ELG_SIGNATURE.outputs[:2]}, "no output 'radius'"),
        ({"outputs": (*ELG_SIGNATURE.outputs[:2], spec("radius", "N"))}, r"output 'radius' is float32 \[N\]"),
        (
            {"outputs": (ELG_SIGNATURE.outputs[0], spec("landmarks", "N", 68, 2), ELG_SIGNATURE.outputs[2])},
            r"output 'landmarks' is float32 \[N, 68, 2\]",
        ),
    ],
    ids=["name", "two-inputs", "nhwc", "open-size", "half", "no-radius", "radius-rank", "68-points"],
)
def test_other_models_are_refused(changes: dict[str, Any], message: str) -> None:
    """The error names the fault, what is expected, and what the model has."""
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        crop_size_px(replace(ELG_SIGNATURE, **changes))
    assert "Expected an input 'eye' float32 [N, 1, H, W]" in str(caught.value)
    assert "outputs:" in str(caught.value)


def outputs_for(landmarks: np.ndarray[Any, Any], radius: float = 34.0) -> dict[str, np.ndarray[Any, Any]]:
    """Return what a network would answer for crops with these landmarks [N, 18, 2]."""
    count = len(landmarks)
    return {
        "heatmaps": np.full((count, 18, 9, 15), 0.25, np.float32),
        "landmarks": landmarks.astype(np.float32),
        "radius": np.full((count, 1), radius, np.float32),
    }


def crops_at(corners: Any, sides: Any) -> EyeCrops:
    """Return empty crops of eyes with these corners."""
    transforms = [
        geometry.eye_transform(nasal, temporal, CROP_PX, mirror=side == "right")
        for (nasal, temporal), side in zip(corners, sides, strict=True)
    ]
    return EyeCrops(np.zeros((len(sides), *CROP_PX[::-1]), np.uint8), np.array(transforms), tuple(sides))


def test_landmarks_become_picture_points() -> None:
    """Corners, iris and eyeball arrive in picture pixels, with the upper lid above the lower one in both eyes."""
    corners = [((200, 100), (180, 100)), ((240, 100), (260, 100))]
    right, left = eyes_from_outputs(
        outputs_for(np.stack([ideal_landmarks()] * 2)), crops_at(corners, ("right", "left"))
    )
    assert (right.side, left.side) == ("right", "left")
    for eye, (nasal, temporal) in zip((right, left), corners, strict=True):
        np.testing.assert_allclose(eye.nasal_corner, nasal, atol=1e-5)
        np.testing.assert_allclose(eye.temporal_corner, temporal, atol=1e-5)
        np.testing.assert_allclose(eye.iris_centre, np.mean([nasal, temporal], axis=0), atol=1e-5)
        assert eye.eyelid[2, 1] < 100 < eye.eyelid[6, 1]
        assert eye.eyeball_radius_px == pytest.approx(34 / 4)
        assert eye.confidence == pytest.approx(0.25)


def test_both_eyes_look_the_same_way() -> None:
    """Irises towards the nose in one crop and the temple in the other are one gaze to the picture's right."""
    landmarks = np.stack([ideal_landmarks()] * 2)
    landmarks[0, 16, 0] -= 17
    landmarks[1, 16, 0] += 17
    corners = [((200, 100), (180, 100)), ((240, 100), (260, 100))]
    for eye in eyes_from_outputs(outputs_for(landmarks), crops_at(corners, ("right", "left"))):
        assert eye.gaze.yaw_deg == pytest.approx(30, abs=1e-3)
        assert eye.gaze.pitch_deg == pytest.approx(0, abs=1e-3)


def test_the_roll_of_a_crop_is_undone() -> None:
    """A head tilted by 90 degrees that looks along its own eyes looks up or down in the picture."""
    landmarks = ideal_landmarks()[None]
    landmarks[0, 16, 0] += 17
    (eye,) = eyes_from_outputs(outputs_for(landmarks), crops_at([((100, 200), (100, 180))], ("left",)))
    assert eye.gaze.pitch_deg == pytest.approx(30, abs=1e-3)


def test_an_eyeball_has_some_size() -> None:
    """A network that answers a radius of nothing, for a crop that is no eye, gives a finite gaze all the same."""
    outputs = outputs_for(ideal_landmarks()[None], radius=-3)
    (eye,) = eyes_from_outputs(outputs, crops_at([((0, 0), (20, 0))], ("left",)))
    assert eye.eyeball_radius_px > 0
    assert np.isfinite(eye.gaze.vector).all()


def test_confidence_is_the_peak_of_what_can_be_seen() -> None:
    """Without a scale, sharp maps give 1, empty ones 0, overshoot is clipped, and the eyeball centre does not count."""
    maps = np.zeros((3, 18, 4, 6), np.float32)
    maps[0, :, 1, 2] = 1.0
    maps[1, 17] = 1.0
    maps[2, :, 0, 0] = np.where(np.arange(18) < 9, 1.4, -0.2)
    outputs = {**outputs_for(np.repeat(ideal_landmarks()[None], 3, axis=0)), "heatmaps": maps}
    eyes = eyes_from_outputs(outputs, crops_at([((0, 0), (20, 0))] * 3, ("left",) * 3))
    np.testing.assert_allclose([eye.confidence for eye in eyes], [1, 0, 9 / 17])
    np.testing.assert_array_equal(eyes[2].point_confidences, [1] * 9 + [0] * 8)


def test_a_scale_makes_probabilities() -> None:
    """Each landmark has its own logistic function of its peak and of the mean peak."""
    weights = np.zeros((17, 3))
    weights[0] = (-1, 2, 0)
    weights[1] = (0, 0, 1)
    maps = np.zeros((1, 18, 4, 6), np.float32)
    maps[0, 0, 1, 1] = 0.5
    outputs = {**outputs_for(ideal_landmarks()[None]), "heatmaps": maps}
    (eye,) = eyes_from_outputs(outputs, crops_at([((0, 0), (20, 0))], ("left",)), ConfidenceScale(weights))
    expected = [0.5, 1 / (1 + np.exp(-0.5 / 17)), *[0.5] * 15]
    assert eye.point_confidences is not None
    np.testing.assert_allclose(eye.point_confidences, expected)
    assert eye.confidence == pytest.approx(np.mean(expected))


def test_packaged_networks_have_a_scale() -> None:
    """Clear maps of a packaged network are trusted, flat ones are not."""
    for name in PACKAGED_MODELS:
        scale = ConfidenceScale.of_model(model_path(name))
        assert scale is not None
        sharp, flat = scale(np.stack([np.full(17, 0.75), np.full(17, 0.25)]))
        assert sharp.mean() > 0.9
        assert flat.mean() < 0.1


def test_a_scale_belongs_to_one_set_of_weights(tmp_path: Path) -> None:
    """A copy of packaged weights and an engine built of them have their scale; other weights of that size have none."""
    copy, other, engine = (tmp_path / name for name in ("copy.onnx", "other.onnx", "copy.engine"))
    shutil.copyfile(model_path("small"), copy)
    scale = ConfidenceScale.of_model(copy)
    assert scale is ConfidenceScale.of_model(model_path("small"))
    other.write_bytes(copy.read_bytes()[:-1] + b"?")
    assert ConfidenceScale.of_model(other) is None
    engine.write_bytes(b"engine")
    assert ConfidenceScale.of_model(engine) is None
    Plan(b"engine", sha256_of(engine), (), (), (), "tensorrt", "10.0", onnx_sha256=sha256_of(copy)).save(engine)
    assert ConfidenceScale.of_model(engine) is scale


def test_impossible_scales_are_refused() -> None:
    """A scale has three finite weights for each of 17 landmarks."""
    for weights in (np.zeros((18, 3)), np.full((17, 3), np.nan)):
        with pytest.raises(InputError, match="weights"):
            ConfidenceScale(weights)


def test_unknown_models_are_named(tmp_path: Path) -> None:
    """A name that is neither packaged nor a file gets an error that lists the packaged ones."""
    for model in ("tiny", tmp_path / "elg.onnx"):
        with pytest.raises(ModelNotFoundError, match="'default', 'small'"):
            open_model(model)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_is_opened_as_asked(threads: int) -> None:
    """Threads go on to the runtime, for a session and for an estimator that opens one."""
    with open_model(ModelSpec("small", threads=threads)) as session:
        assert session.report()["threads"] == threads
    with GazeEstimator.from_default(ModelSpec("small", threads=threads), finder=lambda grey: []) as estimator:
        assert estimator.session.report()["threads"] == threads


@pytest.mark.parametrize("how", [{"device": 1}, {"flavor": "tensorrt"}])
def test_a_gpu_is_for_engines(how: dict[str, Any]) -> None:
    """The GPU and the flavour of TensorRT get to the runtime, which refuses them for the packaged ONNX models."""
    for opening in (open_model, GazeEstimator.from_default):
        with pytest.raises(InputError, match=f"{next(iter(how))}= is not supported for an ONNX model"):
            opening(ModelSpec("small", **how))
