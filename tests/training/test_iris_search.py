"""The search for the iris's edge finds discs, keeps to what the lids leave, and says when that is too little."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from training.evaluate import DEFAULT_MODEL, Model
from training.iris_search import find_iris, gap_above, main, measure, report

OPEN = np.array([[5, 50], [30, 20], [75, 5], [120, 20], [145, 50], [120, 80], [75, 95], [30, 80]], np.float64)


@settings(max_examples=20)
@given(st.floats(68, 82), st.floats(42, 58))
def test_a_disc_is_found_where_it_is(x: float, y: float) -> None:
    """A dark disc on a bright ground, its edge drawn to a fraction of a pixel, is found within half a pixel."""
    rows, columns = np.mgrid[:100, :150] + 0.5
    distance = np.hypot(columns - x, rows - y)
    picture = (60 + 140 * np.clip(distance - 20 + 0.5, 0, 1)).astype(np.uint8)
    found = find_iris(picture, OPEN, np.array([x + 0.3, y - 1.2]), 20.0)
    assert found is not None
    assert np.abs(found - (x, y)).max() <= 0.5


def test_shut_lids_leave_nothing_to_search() -> None:
    """Where the lids leave too little of every circle there is no answer."""
    lids = np.column_stack([OPEN[:, 0], 50 + 0.02 * (OPEN[:, 1] - 50)])
    assert find_iris(np.zeros((100, 150), np.uint8), lids, np.array([75.0, 50.0]), 20.0) is None


def test_a_gap_is_measured_down_from_the_lid() -> None:
    """On the upper lid it is 0, below it more, above it less, also between two landmarks."""
    assert gap_above(OPEN, np.array([75.0, 5.0])) == 0
    assert gap_above(OPEN, np.array([52.5, 20.0])) == pytest.approx(7.5)
    assert gap_above(OPEN, np.array([30.0, 10.0])) == -10


def test_the_report_shows_the_medians(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A few rendered eyes end in a table; the network is nearer to the truth than a twentieth of the eye's width."""
    rows = measure(Model(DEFAULT_MODEL), 3)
    assert all(abs(network) < 5 for _, _, network in rows)
    assert "| 0.4 to 0.6 | 2 | -1.00 % | +0.10 % |" in report([(0.45, -0.5, 0.1), (0.5, -1.5, 0.1), (0.7, 0.0, 0.0)])
    cv2.imwrite(str(tmp_path / "no.png"), np.zeros((4, 4), np.uint8))
    assert main([str(tmp_path / "no.png")]) == 2
    assert "is no model that ONNX Runtime reads" in capsys.readouterr().err


def test_no_eyes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A number of eyes that leaves nothing to report is told before anything is rendered."""
    with pytest.raises(SystemExit):
        main(["--eyes", "0"])
    assert "--eyes takes a number above 0, got 0" in capsys.readouterr().err
