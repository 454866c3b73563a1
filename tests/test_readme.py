"""What the README shows is what a newcomer gets: its ten lines, its picture, its figures."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onepass.media import read_picture
from tests.cli.shell import Shell

_ROOT = Path(__file__).parent.parent
_TEXT = (_ROOT / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run_as_pasted(tmp_path: Path) -> None:
    """The first Python block runs in an empty folder, in a process that knows nothing else, and prints its comment."""
    block = _TEXT.split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    [shown] = re.findall(r"print\(outputs\) +# (.*)", block)
    assert re.fullmatch(re.escape(shown).replace("…", ".*"), done.stdout.strip())
    assert list(tmp_path.iterdir()) == []


def test_the_picture_is_what_the_demo_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture has today's angles and landmarks; `onepass demo -o docs/pictures/demo.png` draws it anew."""
    pytest.importorskip("skimage.data", reason="needs scikit-image: pip install '.[demo]'")
    Shell(capsys)("demo", "-o", tmp_path / "demo.png")
    shown = read_picture(_ROOT / "docs" / "pictures" / "demo.png").astype(np.int16)
    drawn = read_picture(tmp_path / "demo.png").astype(np.int16)
    assert shown.shape == drawn.shape
    labels = np.s_[:37, 512:]  # side, pitch and yaw of each eye, to the degree
    np.testing.assert_array_equal(shown[labels], drawn[labels])
    # Another build of ONNX Runtime moves landmarks by hundredths of a pixel, and so the edges of what is drawn.
    assert np.abs(shown - drawn).mean() < 0.5


def _rows(name: str) -> list[dict[str, Any]]:
    text = (_ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


def test_figures_are_the_measured_ones() -> None:
    """The figures under "What it costs" are those of benchmarks/results, rounded."""
    text = " ".join(_TEXT.split())
    added = max(row["added median µs"] for row in _rows("overhead"))
    engine = {row[""]: row for row in _rows("tensorrt_batches")}
    one, many = (engine[f"batch {batch}"] for batch in (1, 256))
    ratios = [row["onepass / provider's graph"] for row in _rows("cuda_provider")]
    speeds = {row["found by"]: row["frames / s"] for row in _rows("gaze") if row["faces"] == 1}
    for figure in (
        f"less than {math.ceil(added)} µs longer",
        f"{one['onepass / GPU alone']:.2f}× the GPU's own compute time at batch 1",
        f"At batch 256 it takes {many['onepass / GPU alone']:.2f}×",
        f"{min(ratios):.2f}–{max(ratios):.2f}× the time",
        f"{speeds['mesh']:.0f} video frames per second, or {speeds['mesh, small network']:.0f} with the small network",
    ):
        assert figure in text
    assert (
        max(row["two threads / GPU alone"] for row in _rows("throughput")) < 1.05
    )  # "within 5 % of the GPU's own rate"
    assert round(one["Polygraphy / onepass"]) == 4  # "a quarter of the time that Polygraphy's runner takes"
    assert all(row["of one GPU"] == pytest.approx(2, rel=0.01) for row in _rows("gpus") if "2 GPUs" in row[""])
