"""Measure a model: ``python -m training.evaluate [MODEL.onnx] [EYES.npz] [--px P] [--jitter SHIFT SCALE]``.

Prints a row of a Markdown table, or with ``--json`` one line of JSON. The labelled eyes are not in this repository;
``real_eyes.py`` describes their format. ``--synthetic`` measures on held-out rendered eyes instead and needs no file;
``--difficulty`` sets their crop error and degradation.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from training.real_eyes import EYES_VARIABLE, CropError, LandmarkFinder, default_eyes, measure_eyes, read_eyes
from training.renderer import Difficulty, make_renderer
from training.synthetic import Predictor, measure_synthetic

_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_MODEL = _ROOT / "src" / "onepass" / "gaze" / "data" / "elg_120x72.onnx"
EXIT_NO_FILE = 2
_SYNTHETIC_EYES = 2048

REAL_HEADER = (
    "| model | ref iris mean / median (p90) | ref edge | ref lid | ref IoU "
    "| all iris mean (p90) | all edge | all lid | all IoU |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
SYNTHETIC_HEADER = (
    "| model | lid px | iris px | eyeball px | radius px | gaze median / mean, degrees | gain yaw / pitch |\n"
    "|---|---|---|---|---|---|---|"
)


class Model:
    """An ELG-type ONNX model on one CPU thread.

    Args:
        path: the file; its first input is ``[N, 1, H, W]`` or ``[N, H, W, 1]``, and one output's name holds "landmark".

    Raises:
        ValueError: the model has no such input or output.
    """

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise ValueError(f"{path} is no model that ONNX Runtime reads: {error}") from error
        self._inputs = self._session.get_inputs()
        shape = self._inputs[0].shape
        self._channels_first = shape[1] == 1
        height, width = shape[2:] if self._channels_first else shape[1:3]
        self.size = int(height), int(width)
        names = [output.name for output in self._session.get_outputs()]
        self._landmarks = next((name for name in names if "landmark" in name.lower()), "")
        if not self._landmarks:
            raise ValueError(f"{path} has no output with 'landmark' in its name, only {', '.join(names)}")
        self._radius = next((name for name in names if "radius" in name.lower()), None)

    def _run(self, names: list[str], eyes: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        feed = {self._inputs[0].name: eyes if self._channels_first else eyes[:, 0, :, :, None]}
        for extra in self._inputs[1:]:
            feed[extra.name] = np.zeros([1], np.int64)
        return [np.asarray(value) for value in self._session.run(names, feed)]

    @property
    def find_landmarks(self) -> LandmarkFinder:
        """One eye ``[1, 1, H, W]`` to landmarks ``[18, 2]``."""
        return lambda eye: self._run([self._landmarks], eye)[0][0].astype(np.float64)

    @property
    def predict(self) -> Predictor:
        """Eyes ``[N, 1, H, W]`` to landmarks ``[N, 18, 2]`` and radius ``[N]``.

        Raises:
            ValueError: the model has no output for the radius.
        """
        radius_name = self._radius
        if radius_name is None:
            raise ValueError("the model has no output with 'radius' in its name; the gaze cannot be measured")

        def predict(eyes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            landmarks, radius = self._run([self._landmarks, radius_name], eyes)
            return landmarks, radius.reshape(len(eyes))

        return predict


def real_row(name: str, row: dict[str, float]) -> str:
    """One row under ``REAL_HEADER``."""
    return (
        f"| {name} | {row['ref_iris']} / {row['ref_iris_median']} ({row['ref_iris_p90']}) | {row['ref_edge']} "
        f"| {row['ref_lid']} | {row['ref_iou']} | {row['all_iris']} ({row['all_iris_p90']}) | {row['all_edge']} "
        f"| {row['all_lid']} | {row['all_iou']} |"
    )


def _synthetic_report(model: Model, name: str, difficulty: Difficulty, *, as_json: bool, eyes: int) -> str:
    renderer = make_renderer(*model.size)
    errors = measure_synthetic(model.predict, renderer, eyes=eyes, batch=min(64, eyes), difficulty=difficulty)
    if as_json:
        return json.dumps({key: round(value, 4) for key, value in dataclasses.asdict(errors).items()})
    row = (
        f"| {name} | {errors.lid_px:.2f} | {errors.iris_px:.2f} | {errors.eyeball_px:.2f} | {errors.radius_px:.2f} "
        f"| {errors.gaze_median_deg:.2f} / {errors.gaze_mean_deg:.2f} "
        f"| {errors.gain_yaw:.3f} / {errors.gain_pitch:.3f} |"
    )
    return f"{SYNTHETIC_HEADER}\n{row}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure an ELG model.")
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT_MODEL, help="ONNX file (the committed weights)")
    parser.add_argument("eyes", nargs="?", type=Path, default=None, help=f"labelled eyes (${EYES_VARIABLE})")
    parser.add_argument("--jitter", nargs=2, type=float, default=(0.0, 0.0), metavar=("SHIFT", "SCALE"),
                        help="wrong crops: deviations in corner distances and as a factor")  # fmt: skip
    parser.add_argument("--px", type=float, default=0.0, help="shrink pictures to this corner distance first")
    parser.add_argument("--synthetic", action="store_true", help="measure on held-out rendered eyes")
    parser.add_argument("--count", type=int, default=_SYNTHETIC_EYES, help=f"rendered eyes ({_SYNTHETIC_EYES})")
    parser.add_argument("--difficulty", nargs=2, type=float, default=(1.0, 1.0), metavar=("JITTER", "DEGRADATION"),
                        help="with --synthetic: shares of the crop's error and of bad pictures (1 1)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    eyes_path = given.eyes or default_eyes()
    for path in [given.model] if given.synthetic else [given.model, eyes_path]:
        if not path.is_file():
            print(f"training.evaluate: no file {path}; give it as an argument or set {EYES_VARIABLE}", file=sys.stderr)
            return EXIT_NO_FILE
    if not all(0 <= share <= 1 for share in given.difficulty):
        parser.error("--difficulty takes two numbers from 0 to 1, got {:g} {:g}".format(*given.difficulty))
    if given.count < 1:
        parser.error(f"--count takes a number above 0, got {given.count}")
    try:
        model = Model(given.model)
        if given.synthetic:
            jitter, degradation = given.difficulty
            difficulty = Difficulty(jitter=jitter, degradation=degradation)
            print(_synthetic_report(model, given.model.stem, difficulty, as_json=given.json, eyes=given.count))
            return 0
        eyes = read_eyes(eyes_path)
    except ValueError as error:
        print(f"training.evaluate: {error}", file=sys.stderr)
        return EXIT_NO_FILE
    row = measure_eyes(
        model.find_landmarks,
        model.size,
        eyes,
        crop_error=CropError(*given.jitter),
        corner_distance_px=given.px or None,
    )
    print(json.dumps(row) if given.json else f"{REAL_HEADER}\n{real_row(given.model.stem, row)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
