"""The search for the iris's edge finds discs, keeps to what the lids leave, and says when that is too little."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from training.evaluate import DEFAULT_MODEL, Model
from training.iris_search import (
    find_iris,
    fit_iris,
    gap_above,
    main,
    measure,
    measure_labelled,
    report,
    report_labelled,
)
from training.real_eyes import LabelledEyes

OPEN = np.array([[5, 50], [30, 20], [75, 5], [120, 20], [145, 50], [120, 80], [75, 95], [30, 80]], np.float64)


@settings(max_examples=20)
@given(st.floats(68, 82), st.floats(42, 58))
def test_a_disc_is_found_where_it_is(x: float, y: float) -> None:
    """A dark disc on a bright ground, its edge drawn to a fraction of a pixel, is found within half a pixel."""
    rows, columns = np.mgrid[:100, :150] + 0.5
    distance = np.hypot(columns - x, rows - y)
    picture = (60 + 140 * np.clip(distance - 20 + 0.5, 0, 1)).astype(np.uint8)
    for find, tolerance_px in ((find_iris, 0.5), (fit_iris, 0.1)):
        found = find(picture, OPEN, np.array([x + 0.3, y - 1.2]), 20.0)
        assert found is not None
        assert np.abs(found - (x, y)).max() <= tolerance_px


def test_shut_lids_leave_nothing_to_search() -> None:
    """Where the lids leave too little of every circle there is no answer."""
    lids = np.column_stack([OPEN[:, 0], 50 + 0.02 * (OPEN[:, 1] - 50)])
    assert find_iris(np.zeros((100, 150), np.uint8), lids, np.array([75.0, 50.0]), 20.0) is None
    assert fit_iris(np.zeros((100, 150), np.uint8), lids, np.array([75.0, 50.0]), 20.0) is None


def test_a_picture_without_an_edge_has_no_circle() -> None:
    """Where nothing brightens there is nothing to fit."""
    assert fit_iris(np.full((100, 150), 90, np.uint8), OPEN, np.array([75.0, 50.0]), 20.0) is None


def test_a_fit_disregards_a_part_that_is_off() -> None:
    """A lid's shadow that moves a fifth of the edge inwards moves the circle by less than a fifth as much."""
    rows, columns = np.mgrid[:100, :150] + 0.5
    away = np.hypot(columns - 75, rows - 50) + 3.0 * (np.abs(np.arctan2(rows - 50, columns - 75) - 1.2) < 0.6)
    picture = (60 + 140 * np.clip(away - 20 + 0.5, 0, 1)).astype(np.uint8)
    found = fit_iris(picture, OPEN, np.array([75.4, 49.5]), 20.0)
    assert found is not None
    assert np.abs(found - (75, 50)).max() < 0.6


def test_a_gap_is_measured_down_from_the_lid() -> None:
    """On the upper lid it is 0, below it more, above it less, also between two landmarks."""
    assert gap_above(OPEN, np.array([75.0, 5.0])) == 0
    assert gap_above(OPEN, np.array([52.5, 20.0])) == pytest.approx(7.5)
    assert gap_above(OPEN, np.array([30.0, 10.0])) == -10


def test_the_report_shows_the_medians(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A few rendered eyes end in a table; the network is nearer to the truth than a twentieth of the eye's width."""
    rows = measure(Model(DEFAULT_MODEL), 3)
    assert all(abs(network) < 5 and abs(fit) < 5 for _, _, fit, network in rows)
    table = report([(0.45, -0.5, 0.2, 0.1), (0.5, -1.5, 0.2, 0.1), (0.7, 0.0, 0.0, 0.0)])
    assert "| 0.4 to 0.6 | 2 | -1.00 % | +0.20 % | +0.10 % |" in table
    cv2.imwrite(str(tmp_path / "no.png"), np.zeros((4, 4), np.uint8))
    assert main([str(tmp_path / "no.png")]) == 2
    assert "is no model that ONNX Runtime reads" in capsys.readouterr().err


def test_labelled_eyes_are_measured_from_the_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A reference 2 % too high comes out as that, whatever the network says; eyes without a reference are left out."""
    rows, columns = np.mgrid[:160, :240] + 0.5
    disc = np.clip(np.hypot(columns - 120, rows - 80) - 22 + 0.5, 0, 1)
    lids = np.array([[70, 80], [95, 50], [120, 40], [145, 50], [170, 80], [145, 110], [120, 120], [95, 110]])
    iris = np.array([[120, 78], [98, 78], [120, 56], [142, 78], [120, 100]], np.float32)
    eyes = LabelledEyes(
        eye=np.repeat((60 + 140 * disc).astype(np.uint8)[None], 2, 0),
        lid=np.repeat(lids[None], 2, 0).astype(np.float32),
        iris_mesh=np.repeat(iris[None], 2, 0),
        iris_ref=np.repeat(iris[None], 2, 0),
        is_ref=np.array([True, False]),
        picture=np.array([0, 1]),
    )
    references, networks = measure_labelled(Model(DEFAULT_MODEL), eyes)
    assert references == pytest.approx(np.array([[0, -2]]), abs=0.1)
    assert networks.shape == (1, 2)
    table = report_labelled(np.array([[0.0, -2.0], [0.0, -1.0], [3.0, -4.0]]), networks)
    assert "| reference | 3 | -2.00 % | 2.67 / 2.00 % |" in table
    unmeasured = dataclasses.replace(eyes, is_ref=np.array([False, False]))
    with pytest.raises(ValueError, match="none of 2 eyes has a reference iris"):
        measure_labelled(Model(DEFAULT_MODEL), unmeasured)
    for missing in (["--labelled", str(tmp_path / "none")], [str(tmp_path / "none")]):
        assert main(missing) == 2
        assert "no file" in capsys.readouterr().err


def test_no_eyes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A number of eyes that leaves nothing to report is told before anything is rendered."""
    with pytest.raises(SystemExit):
        main(["--eyes", "0"])
    assert "--eyes takes a number above 0, got 0" in capsys.readouterr().err
