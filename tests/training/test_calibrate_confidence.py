"""What heatmap peaks are worth: a known relation is found again, and its errors are measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("scipy")
pytest.importorskip("skimage")

from onepass.artifacts import sha256_of
from onepass.gaze.confidence import PACKAGED_SCALES
from onepass.gaze.model import PACKAGED_MODELS
from training.calibrate_confidence import DATA, EXIT_NO_FILE, VIEWS, Samples, collect, fit, main, reliability
from training.real_eyes import LabelledEyes


def made_up(count: int = 4000) -> Samples:
    """Peaks in 0 to 1, of which the probability of being right is known: logistic, -3 + 2 peak + 4 mean."""
    random = np.random.default_rng(0)
    peaks = np.clip(random.uniform(0, 1, (count, 1)) + random.normal(0, 0.2, (count, 17)), 0, 1)
    chance = 1 / (1 + np.exp(3 - 2 * peaks - 4 * peaks.mean(axis=1, keepdims=True)))
    group = np.where(np.arange(count) < 100, "thing 0", random.integers(0, 50, count).astype(str))
    return Samples(peaks, random.uniform(size=peaks.shape) < chance, group)


def few_eyes(count: int = 2) -> LabelledEyes:
    """Grey canvases with labels in the right shapes."""
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    lid = np.array([120, 80]) + np.stack([50 * np.cos(turn), 15 * np.sin(turn)], axis=1)
    iris = np.array([[120, 80], [140, 80], [120, 60], [100, 80], [120, 100]], float)
    canvas = np.full((count, 160, 240), 128, np.uint8)
    return LabelledEyes(
        canvas, np.repeat(lid[None], count, 0), np.repeat(iris[None], count, 0), np.repeat(iris[None], count, 0),
        np.array([True, False]), np.array(["a", "b"]),
    )  # fmt: skip


def test_a_known_relation_is_found() -> None:
    """The fit finds the weights that the samples were made with, on average over the landmarks."""
    np.testing.assert_allclose(fit(made_up()).weights.mean(axis=0), (-3, 2, 4), atol=0.2)


def test_probabilities_of_the_right_model_are_reliable() -> None:
    """Cross-validated, the probabilities of a model that is true are off by little and better than the mean."""
    measured = reliability(made_up())
    assert measured.error < 0.02
    assert measured.brier < measured.base_brier


def test_eyes_and_things_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every eye is shown in every view, one thing comes for three of them, and nothing is right about a thing."""
    samples = collect(DATA / PACKAGED_MODELS["small"], few_eyes())
    assert samples.peaks.shape == samples.right.shape == (2 * len(VIEWS) + 3, 17)
    assert samples.group.tolist() == ["a", "b"] * len(VIEWS) + ["thing 0", "thing 1", "thing 2"]
    assert not samples.right[-3:].any()


def test_the_constants_belong_to_the_weights() -> None:
    """The bundled constants were made for the bundled networks."""
    content = json.loads((DATA / PACKAGED_SCALES).read_text(encoding="utf-8"))
    assert {entry["file"]: entry["sha256"] for entry in content["networks"]} == {
        file: sha256_of(DATA / file) for file in PACKAGED_MODELS.values()
    }


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without labelled eyes the command ends with one message, and writes nothing."""
    assert main([str(tmp_path / "no.npz"), "-o", str(tmp_path / "out.json")]) == EXIT_NO_FILE
    assert "no.npz" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
