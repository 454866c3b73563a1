"""Measuring: known errors come out as they went in, and missing files are told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")


from training import calibrate_confidence, iris_search, real_eyes  # noqa: E402
from training.evaluate import DEFAULT_MODEL, Model, main  # noqa: E402
from training.network import Elg, NetworkConfig  # noqa: E402
from training.real_eyes import (  # noqa: E402
    CropError,
    LabelledEyes,
    default_eyes,
    distances_to_curve,
    ellipse_from_iris,
    measure_eyes,
    overlap,
    read_eyes,
)
from training.renderer import Difficulty, EyeBatch, RenderOptions, make_renderer, render  # noqa: E402
from training.synthetic import angle_between_deg, gaze_from_landmarks, measure_synthetic  # noqa: E402
from training.train import predictor_from_network  # noqa: E402

Array = NDArray[np.float64]


def _eyes(count: int = 3) -> LabelledEyes:
    """Rendered eyes as labelled canvases: the corners 100 px apart at (70, 80) and (170, 80)."""
    generator = torch.Generator().manual_seed(1)
    difficulty, options = Difficulty(0.5, 0.0, 0.0), RenderOptions(equalised=False, closed_share=0.0, supersampling=1)
    batch = render(count, 160, 240, generator=generator, difficulty=difficulty, options=options)
    # a canvas is 1.5 times a crop: shrink the crop's 160 px between the corners to 100 px
    scale = 100 / 160
    points = (batch.landmarks.numpy() - [120, 80]) * scale + [120, 80]
    iris = points[:, [8, 10, 12, 14]]
    iris = np.concatenate([points[:, 8:16].mean(1, keepdims=True), iris], 1)
    canvas = np.zeros((count, 160, 240), np.uint8)
    small = torch.nn.functional.interpolate(batch.image[:, None], (100, 150), mode="area")[:, 0]
    canvas[:, 30:130, 45:195] = small.numpy().astype(np.uint8)
    lid = np.repeat(points[:, :8], 2, 1)
    return LabelledEyes(canvas, lid, iris, iris, np.array([True] * (count - 1) + [False]), np.arange(count).astype(str))


@pytest.fixture
def eyes_file(tmp_path: Path) -> Path:
    """A labelled file of three eyes."""
    eyes = _eyes()
    path = tmp_path / "eyes.npz"
    np.savez(path, **vars(eyes))
    return path


def _oracle(eyes: LabelledEyes, offset: Array) -> Array:
    """What a perfect network but for ``offset`` (canvas pixels) finds, one after the other, in a 150 px crop."""
    angles = np.pi + np.arange(8) * np.pi / 4
    found = np.zeros((len(eyes.eye), 18, 2))
    found[:, :8] = eyes.lid[:, ::2]
    for row, iris in zip(found, eyes.iris_mesh, strict=True):
        half = (iris[3] - iris[1]) / 2, (iris[4] - iris[2]) / 2
        row[8:16] = iris[0] + np.cos(angles)[:, None] * half[0] + np.sin(angles)[:, None] * half[1]
    placed: Array = found + offset - np.array([45, 35])
    return placed


@pytest.mark.parametrize("offset", [(0.0, 0.0), (3.0, -4.0)], ids=["right", "shifted"])
def test_known_errors_come_out(offset: tuple[float, float]) -> None:
    """A network that is off by a known distance gets that distance as its iris error."""
    eyes = _eyes()
    answers = iter(_oracle(eyes, np.array(offset)))
    row = measure_eyes(lambda _: next(answers), (90, 150), eyes)
    assert row["all_iris"] == pytest.approx(np.hypot(*offset), abs=0.05)
    assert row["ref_iris_median"] == pytest.approx(np.hypot(*offset), abs=0.05)
    if offset == (0.0, 0.0):
        assert row["all_lid"] == pytest.approx(0, abs=0.01)
        assert row["all_iou"] == pytest.approx(100, abs=0.1)


def test_every_keyword_changes_the_crop() -> None:
    """Shrinking the pictures and moving the crops both change what the network sees, the same way every time."""
    eyes = _eyes(1)
    eyes = LabelledEyes(eyes.eye, eyes.lid, eyes.iris_mesh, eyes.iris_ref, np.array([True]), eyes.picture)
    seen: list[NDArray[np.float32]] = []

    def find(eye: NDArray[np.float32]) -> Array:
        seen.append(eye)
        return np.zeros((18, 2)) + 10

    for _ in range(2):
        measure_eyes(find, (36, 60), eyes)
        measure_eyes(find, (36, 60), eyes, corner_distance_px=24)
        measure_eyes(find, (36, 60), eyes, crop_error=CropError(0.07, 0.1))
    assert seen[0].shape == (1, 1, 36, 60)
    assert not np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    assert all(np.array_equal(first, second) for first, second in zip(seen[:3], seen[3:], strict=True))


@pytest.mark.parametrize("corner_distance_px", [24.0, 31.0, 50.0])
def test_shrinking_leaves_everything_in_its_place(corner_distance_px: float) -> None:
    """A dot in the middle of the canvas and one near its edge are still there when the picture was coarser."""
    random = np.random.default_rng(3)
    rows, columns = np.indices((160, 240)) + 0.5
    for _ in range(8):
        x, y = random.uniform(40, 200), random.uniform(40, 120)
        dot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 10**2))
        shrunk = real_eyes._shrunk((255 * dot).astype(np.uint8), corner_distance_px / 100).astype(float)
        found = [(shrunk * axis).sum() / shrunk.sum() for axis in (columns, rows)]
        assert found == pytest.approx([x, y], abs=0.1)


def test_geometry() -> None:
    """Distances to a square, overlap of two squares, and the ellipse through four points are what they should be."""
    square = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]])
    found = distances_to_curve(np.array([[5.0, 5.0], [5.0, -2.0], [13.0, 14.0]]), square)
    assert np.allclose(found, [5, 2, 5])
    assert overlap(square + 40, square + 40) == 1.0
    assert overlap(square + 40, square + np.array([45, 40])) == pytest.approx(1 / 3, abs=0.05)
    iris = np.array([[0.0, 0.0], [-4.0, 0.0], [0.0, -3.0], [4.0, 0.0], [0.0, 3.0]])
    ellipse = ellipse_from_iris(iris)
    assert np.allclose((ellipse[:, 0] / 4) ** 2 + (ellipse[:, 1] / 3) ** 2, 1)


def test_command_line_prints_json_and_a_row(eyes_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled weights are measured on a file of eyes, as JSON and as a row of a table."""
    assert main([str(DEFAULT_MODEL), str(eyes_file), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert set(row) == {
        f"{tag}_{name}" for tag in ("ref", "all") for name in ("iris", "edge", "lid", "iou", "iris_median", "iris_p90")
    }
    assert row["all_iris"] < 5
    assert main([str(DEFAULT_MODEL), str(eyes_file), "--px", "24", "--jitter", "0.05", "0.05"]) == 0
    assert "| elg_120x72 |" in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["model", "eyes"])
def test_missing_files_are_told(missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file ends with exit code 2 and a message that names it and the variable."""
    model = tmp_path / "no.onnx" if missing == "model" else DEFAULT_MODEL
    assert main([str(model), str(tmp_path / "no.npz")]) == 2
    error = capsys.readouterr().err
    assert ("no.onnx" if missing == "model" else "no.npz") in error
    assert "ONEPASS_DEV_EYES" in error


def test_eyes_come_from_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variable says where the labelled eyes are."""
    monkeypatch.setenv("ONEPASS_DEV_EYES", str(tmp_path / "mine.npz"))
    assert default_eyes() == tmp_path / "mine.npz"


def test_synthetic_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The small bundled weights are measured on a few rendered eyes: the gaze is found, not guessed."""
    small = DEFAULT_MODEL.with_name("elg_60x36.onnx")
    assert main([str(small), "--synthetic", "--count", "64", "--json"]) == 0
    errors = json.loads(capsys.readouterr().out)
    assert errors["eyes"] > 50
    assert errors["gaze_median_deg"] < 12
    assert errors["gain_yaw"] > 0.7
    assert main([str(small), "--synthetic", "--count", "8"]) == 0
    assert "| elg_60x36 |" in capsys.readouterr().out
    assert main([str(small), "--synthetic", "--count", "64", "--difficulty", "0", "0", "--json"]) == 0
    easy = json.loads(capsys.readouterr().out)
    assert easy["iris_px"] < 0.8 * errors["iris_px"]
    assert easy["gaze_median_deg"] < errors["gaze_median_deg"]


def test_a_difficulty_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Shares beyond the whole are refused by name."""
    with pytest.raises(SystemExit) as stop:
        main([str(DEFAULT_MODEL), "--synthetic", "--difficulty", "1", "40"])
    assert stop.value.code == 2
    assert "--difficulty takes two numbers from 0 to 1, got 1 40" in capsys.readouterr().err


def test_a_perfect_network_has_no_synthetic_error() -> None:
    """A predictor that knows the labels gets errors of zero and a gain of one."""
    renderer = make_renderer(36, 60)
    rendered = []

    def remembering(batch: int, generator: Any, difficulty: Any = None) -> EyeBatch:
        difficulty = Difficulty() if difficulty is None else difficulty
        rendered.append(renderer(batch, generator, difficulty))
        return rendered[-1]

    errors = measure_synthetic(
        lambda _: (rendered[-1].landmarks.numpy(), rendered[-1].radius.numpy()), remembering, eyes=16, batch=8
    )
    assert errors.gaze_median_deg < 0.1
    assert errors.iris_px == 0
    assert errors.gain_yaw == pytest.approx(1, abs=1e-3)


def test_gaze_from_landmarks_and_angles() -> None:
    """A front point to the right and above the centre looks right and up; angles between gazes are in degrees."""
    landmarks = np.zeros((1, 18, 2), np.float32)
    landmarks[0, 16] = [5.0, -5.0]
    gaze = gaze_from_landmarks(landmarks, np.array([10.0], np.float32))
    assert gaze[0, 0] == pytest.approx(np.arcsin(0.5), abs=1e-5)
    assert gaze[0, 1] > 0
    level = np.zeros((1, 2), np.float32)
    assert angle_between_deg(level, np.array([[0.0, np.pi / 6]], np.float32))[0] == pytest.approx(30, abs=1e-3)


def test_a_model_without_radius_cannot_give_gaze(tmp_path: Path) -> None:
    """Asking a model without a radius for the gaze says what is missing."""
    torch_model = Elg(NetworkConfig(height=36, width=60, stride=2, widths=(8, 8), pools=(2,), modules=1)).eval()
    predictor = predictor_from_network(torch_model)
    landmarks, radius = predictor(np.zeros((2, 1, 36, 60), np.float32))
    assert (landmarks.shape, radius.shape) == ((2, 18, 2), (2,))
    model = Model(DEFAULT_MODEL)
    model._radius = None
    with pytest.raises(ValueError, match="radius"):
        _ = model.predict


@pytest.mark.skipif(
    not default_eyes().is_file(),
    reason="the labelled eyes are not here",
)
def test_bundled_weights_on_real_eyes() -> None:
    """The bundled weights keep their errors on real eyes."""
    model = Model(DEFAULT_MODEL)
    row = measure_eyes(model.find_landmarks, model.size, read_eyes(default_eyes()))
    assert row["ref_iris"] < 2.0
    assert row["all_iris"] < 3.2


def test_wrong_models_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no model ends in one message and status 2."""
    (tmp_path / "m.onnx").write_text("no model")
    assert main([str(tmp_path / "m.onnx"), "--synthetic"]) == 2
    assert "is no model that ONNX Runtime reads" in capsys.readouterr().err


def test_wrong_files_of_eyes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What holds no labelled eyes is named with what it lacks, by every command that reads them, with status 2."""
    eyes = dataclasses.asdict(_eyes(1))
    contents: dict[str, dict[str, Any]] = {
        r"no \.npz file with the arrays eye, lid, .*iris_ref is not a file": {
            name: array for name, array in eyes.items() if name != "iris_ref"
        },
        r"eye must be uint8 \[N, 160, 240\], got float32 \[1, 160, 240\]": {
            **eyes, "eye": eyes["eye"].astype(np.float32)
        },
        r"lid must be \[1, 16, 2\], got \[1, 8, 2\]": {**eyes, "lid": eyes["lid"][:, :8]},
    }  # fmt: skip
    path = tmp_path / "eyes.npz"
    for message, arrays in contents.items():
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=message):
            read_eyes(path)
    np.save(tmp_path / "one.npy", eyes["eye"])
    with pytest.raises(ValueError, match=r"one\.npy is no \.npz file"):
        read_eyes(tmp_path / "one.npy")
    path.write_text("no eyes")
    assert main([str(DEFAULT_MODEL), str(path)]) == 2
    assert iris_search.main(["--labelled", str(path)]) == 2
    assert calibrate_confidence.main([str(path)]) == 2
    assert capsys.readouterr().err.count("eyes.npz is no .npz file with the arrays") == 3
