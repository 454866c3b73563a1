"""From heatmap peaks to probabilities: ``python -m training.calibrate_confidence [EYES.npz] [-o confidence.json]``.

For each bundled network and each of its 17 visible landmarks, the script fits the probability that the landmark is
correct, within 5 % of the eye-corner distance, as a logistic function of the peak of its heatmap and of the mean peak.
It fits on labelled eyes (``real_eyes.py``) unchanged, in shifted crops, and shrunk; and on patches without an eye, in
which no landmark is correct. The report is cross-validated over pictures.

Labels: eyelid points are compared with the lid's outline, iris points with the iris's ellipse. The front of the eyeball
(landmark 16) has no label; it counts as correct where the mean of the iris points is correct.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from scipy.optimize import minimize

from onepass.artifacts import replacing, sha256_of
from onepass.gaze.confidence import PACKAGED_SCALES, TOLERANCE, VISIBLE_POINTS, ConfidenceScale
from onepass.gaze.model import PACKAGED_MODELS
from training.real_eyes import (
    CORNER_DISTANCE_PX,
    EYES_VARIABLE,
    CropError,
    LabelledEyes,
    default_eyes,
    distances_to_curve,
    ellipse_from_iris,
    find_on_canvases,
    read_eyes,
)

Array = NDArray[np.float64]

DATA = Path(__file__).resolve().parent.parent / "src" / "onepass" / "gaze" / "data"
HEADER = (
    "| network | calibration error | Brier score (of the mean) | confidence of eyes | of things |\n"
    "|---|---|---|---|---|"
)
EXIT_NO_FILE = 2
FOLDS = 5
# How the eyes are shown: the crop's error, and the corner distance in pixels to which they are shrunk first.
VIEWS: tuple[tuple[CropError, float | None], ...] = (
    (CropError(), None),
    (CropError(0.07, 0.1), None),
    (CropError(0.15, 0.2), None),
    (CropError(), 24.0),
    (CropError(0.05, 0.05), 12.0),
)
# What a finder takes for an eye and is none can look like anything: scikit-image's pictures without faces, and shapes
# that are drawn, round and bright or dark in the middle as eyes are.
THINGS = (
    "brick", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "hubble_deep_field", "immunohistochemistry",
    "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
EYES_PER_THING = 3
_THING_WIDTHS_PX = (40, 160)
# Pulls each weight a little towards 0, so that a landmark that is hardly ever wrong does not become a step.
_RIDGE = 1e-5


@dataclass(frozen=True)
class Samples:
    """A network's answers.

    Attributes:
        peaks: ``[N, 17]``, of the heatmaps.
        right: bool ``[N, 17]``, whether the landmark is correct.
        group: ``[N]``, the picture.
    """

    peaks: Array
    right: NDArray[np.bool_]
    group: NDArray[np.str_]


class Network:
    """A bundled network on one CPU thread that remembers the peaks of its answers."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.size: tuple[int, int] = tuple(self._session.get_inputs()[0].shape[2:])
        self.peaks: list[Array] = []

    def __call__(self, eye: NDArray[np.float32]) -> Array:
        """One eye ``[1, 1, H, W]`` to landmarks ``[18, 2]``."""
        landmarks, heatmaps = self._session.run(["landmarks", "heatmaps"], {"eye": eye})
        self.peaks.append(heatmaps[0, :VISIBLE_POINTS].max(axis=(1, 2)).astype(np.float64))
        return np.asarray(landmarks[0], np.float64)


def collect(path: Path, eyes: LabelledEyes) -> Samples:
    """Run a network on all eyes in all views, and on patches without an eye."""
    network = Network(path)
    right = [
        _right_points(landmarks, eyes, index)
        for crop_error, px in VIEWS
        for index, landmarks in enumerate(
            find_on_canvases(network, network.size, eyes, crop_error=crop_error, corner_distance_px=px)
        )
    ]
    group = list(eyes.picture) * len(VIEWS)
    for index, patch in enumerate(_things(network.size, len(right) // EYES_PER_THING)):
        network(patch)
        right.append(np.zeros(VISIBLE_POINTS, bool))
        group.append(f"thing {index}")
    return Samples(np.array(network.peaks), np.array(right), np.array(group))


def _right_points(landmarks: Array, eyes: LabelledEyes, index: int) -> NDArray[np.bool_]:
    """Whether each visible landmark, in canvas pixels, is correct."""
    iris = np.asarray((eyes.iris_ref if eyes.is_ref[index] else eyes.iris_mesh)[index], np.float64)
    lid = np.asarray(eyes.lid[index], np.float64)
    errors = np.concatenate(
        [
            distances_to_curve(landmarks[:8], lid),
            distances_to_curve(landmarks[8:16], ellipse_from_iris(iris)),
            [np.linalg.norm(landmarks[8:16].mean(axis=0) - iris[0])],
        ]
    )
    return np.asarray(errors <= TOLERANCE * CORNER_DISTANCE_PX)


def _things(size: tuple[int, int], count: int) -> list[NDArray[np.float32]]:
    """Return patches without an eye, in the network's input format."""
    random = np.random.default_rng(0)
    makers: list[Callable[[tuple[int, int], np.random.Generator], NDArray[np.uint8]]] = [
        *(partial(_part_of, name) for name in THINGS),
        *[_drawn] * (len(THINGS) // 2),
    ]
    patches = []
    for index in range(count):
        part = cv2.resize(makers[index % len(makers)](size, random), size[::-1], interpolation=cv2.INTER_AREA)
        patches.append((cv2.equalizeHist(part).astype(np.float32) / 127.5 - 1)[None, None])
    return patches


def _part_of(name: str, size: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a part of one of scikit-image's pictures, of any size, in the shape of a crop."""
    import skimage.data

    picture = np.asarray(getattr(skimage.data, name)())
    grey = picture if picture.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(picture[..., :3]), cv2.COLOR_RGB2GRAY)
    width_px = int(random.integers(*_THING_WIDTHS_PX))
    height_px = width_px * size[0] // size[1]
    top, left = (
        int(random.integers(0, side - part)) for side, part in zip(grey.shape, (height_px, width_px), strict=True)
    )
    return np.asarray(grey[top : top + height_px, left : left + width_px], np.uint8)


def _drawn(size: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return some ellipses and lines, blurred and noisy: cups, glasses, buttons, wheels, letters."""
    height, width = 2 * size[0], 2 * size[1]
    picture = np.full((height, width), random.integers(30, 220), np.uint8)
    for _ in range(int(random.integers(1, 6))):
        middle = (int(random.integers(0, width)), int(random.integers(0, height)))
        axes = (int(random.integers(4, width // 2)), int(random.integers(4, height // 2)))
        shade, thick = int(random.integers(0, 256)), int(random.choice([-1, -1, 2, 5, 9]))
        cv2.ellipse(picture, middle, axes, float(random.uniform(0, 180)), 0, 360, shade, thick, cv2.LINE_AA)
    for _ in range(int(random.integers(0, 4))):
        ends = [(int(random.integers(0, width)), int(random.integers(0, height))) for _ in range(2)]
        cv2.line(picture, ends[0], ends[1], int(random.integers(0, 256)), int(random.integers(1, 9)), cv2.LINE_AA)
    noise = random.normal(0, random.uniform(0, 12), picture.shape)
    soft = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 4))
    return np.asarray(np.clip(soft + noise, 0, 255), np.uint8)


def fit(samples: Samples) -> ConfidenceScale:
    """Fit the three weights of every landmark by maximum likelihood."""
    mean = samples.peaks.mean(axis=1)
    return ConfidenceScale(
        np.array([_fit_one(samples.peaks[:, k], mean, samples.right[:, k]) for k in range(VISIBLE_POINTS)])
    )


def _fit_one(peak: Array, mean_peak: Array, right: NDArray[np.bool_]) -> Array:
    """Return constant, weight of the peak and weight of the mean peak."""
    sign = np.where(right, 1.0, -1.0)
    middle = np.array([peak.mean(), mean_peak.mean()])
    design = np.column_stack([np.ones_like(peak), peak - middle[0], mean_peak - middle[1]])
    ridge = np.array([0.0, _RIDGE, _RIDGE])

    def loss(weights: Array) -> tuple[float, Array]:
        margin = sign * (design @ weights)
        slope = -sign / (1 + np.exp(np.clip(margin, -50, 50)))  # of log(1 + exp(-margin))
        value = np.logaddexp(0, -margin).mean() + ridge @ weights**2 / 2
        return float(value), design.T @ slope / len(peak) + ridge * weights

    constant, *weights = minimize(loss, np.zeros(3), jac=True, method="BFGS").x
    return np.array([constant - middle @ weights, *weights])


@dataclass(frozen=True)
class Reliability:
    """Quality of probabilities on pictures outside of their fit.

    Attributes:
        error: mean difference between probability and share of correct landmarks, over ten bins of probability.
        brier: mean square error of the probability; ``base_brier`` is the score of a constant mean.
        base_brier: see there.
        things: mean probability on patches without an eye.
        eyes: mean probability on eyes.
    """

    error: float
    brier: float
    base_brier: float
    things: float
    eyes: float


def reliability(samples: Samples) -> Reliability:
    """Measure by cross-validation over groups."""
    names = np.unique(samples.group)
    fold_of = dict(zip(names, np.random.default_rng(0).integers(0, FOLDS, len(names)), strict=True))
    folds = np.array([fold_of[name] for name in samples.group])
    probabilities = np.empty_like(samples.peaks)
    for fold in range(FOLDS):
        seen = folds != fold
        scale = fit(Samples(samples.peaks[seen], samples.right[seen], samples.group[seen]))
        probabilities[~seen] = scale(samples.peaks[~seen])
    bins = np.minimum((probabilities * 10).astype(int), 9)
    gaps = [
        (bins == index).mean() * abs(probabilities[bins == index].mean() - samples.right[bins == index].mean())
        for index in np.unique(bins)
    ]
    things = np.char.startswith(samples.group, "thing ")
    return Reliability(
        error=float(np.sum(gaps)),
        brier=float(np.mean((probabilities - samples.right) ** 2)),
        base_brier=float(samples.right.mean() * (1 - samples.right.mean())),
        things=float(probabilities[things].mean()),
        eyes=float(probabilities[~things].mean()),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.calibrate_confidence", description=__doc__.split("\n")[0])
    parser.add_argument("eyes", nargs="?", type=Path, default=None, help=f"labelled eyes (${EYES_VARIABLE})")
    parser.add_argument("-o", "--out", type=Path, default=DATA / PACKAGED_SCALES, help="where to write the constants")
    given = parser.parse_args(arguments)
    path = given.eyes or default_eyes()
    if not path.is_file():
        print(f"training.calibrate_confidence: no file {path}; give it or set {EYES_VARIABLE}", file=sys.stderr)
        return EXIT_NO_FILE
    try:
        eyes = read_eyes(path)
    except ValueError as error:
        print(f"training.calibrate_confidence: {error}", file=sys.stderr)
        return EXIT_NO_FILE
    networks = []
    print(HEADER)
    for file in PACKAGED_MODELS.values():
        samples = collect(DATA / file, eyes)
        scale, measured = fit(samples), reliability(samples)
        height, width = Network(DATA / file).size
        print(
            f"| {Path(file).stem} | {measured.error:.3f} | {measured.brier:.3f} ({measured.base_brier:.3f}) "
            f"| {measured.eyes:.2f} | {measured.things:.2f} |"
        )
        networks.append(
            {
                "file": file,
                "sha256": sha256_of(DATA / file),
                "crop_px": [width, height],
                "weights": np.round(scale.weights, 3).tolist(),
            }
        )
    content = {
        "made_by": "python -m training.calibrate_confidence",
        "eyes": f"{len(eyes.eye)} labelled eyes, {len(VIEWS)} views each, and one patch without an eye for "
        f"{EYES_PER_THING} of them",
        "tolerance": TOLERANCE,
        "networks": networks,
    }
    with replacing(given.out) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
