"""How good an iris reference is: ``python -m training.iris_search [MODEL.onnx] [--labelled EYES.npz]``.

The reference irises of the labelled real eyes come from a search (Daugman, "High confidence visual recognition of
persons by a test of statistical independence", PAMI 1993: the circle across which the picture brightens most). Real
eyes have no other truth; rendered eyes do. Prints how far such a search, a circle fitted to the edge's points and a
network are off on rendered eyes, by how far the centre of the iris lies below the upper lid; with ``--labelled``, how
far the reference and the network are from such a circle on real eyes.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import least_squares

from training.evaluate import DEFAULT_MODEL, Model
from training.real_eyes import CORNER_DISTANCE_PX, LabelledEyes, eye_from_crop, find_on_canvases, read_eyes
from training.renderer import Difficulty, make_renderer
from training.renderer.placement import CROP_WIDTH_IN_CORNER_DISTANCES

Array = NDArray[np.float64]

_STEP_PX = 0.5
_REACH_PX = {"x": 2.0, "y": 5.0, "radius": 2.0}
_ANGLES = 120
_HALF_WIDTH_PX = 1.5
_CLIP = (-40.0, 120.0)
"""Grey levels across the edge: reflections and the pupil would outvote it otherwise."""
_LEAST_SEEN = 0.2
_FINE, _LID_MARGIN_PX = 4, 1.5
_STRAIGHT_RAD = 0.25
_BATCH = 64
_FIT_ANGLES, _FIT_RADII = 90, np.linspace(0.75, 1.25, 101)
_FIT_CLEARANCE = 1.15
"""An edge is looked for where the picture is free of lids so many radii from the centre."""
_LEAST_RISE, _LEAST_POINTS = 8.0, 12
"""Grey levels for each hundredth of the way; points for a circle."""
_INLIER_PX = 0.5
_EDGES = (-1.0, 0.2, 0.4, 0.6, 0.8, 2.0)


def find_iris(picture: NDArray[np.uint8], lids: Array, start: Array, radius_px: float) -> Array | None:
    """Search for the circle across which a picture brightens most.

    Args:
        picture: uint8 [H, W].
        lids: [K, 2], outline between the lids; only what lies within is looked at. Pixel centres at x.5.
        start: [2], where to begin: up to 5 pixels above or below and 2 beside it are tried.
        radius_px: likewise; up to 2 pixels more or less are tried.

    Returns:
        Its centre [2]; None where the lids leave less than a fifth of every circle.
    """
    steps = {name: np.arange(-reach, reach + _STEP_PX / 2, _STEP_PX) for name, reach in _REACH_PX.items()}
    moves = np.stack(np.meshgrid(steps["x"], steps["y"], steps["radius"], indexing="ij"), -1).reshape(-1, 3)
    centres, radii = start + moves[:, :2], radius_px + moves[:, 2:]
    angles = np.linspace(0, 2 * np.pi, _ANGLES, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    smooth = gaussian_filter(picture.astype(np.float64), 1.0)

    def brightness(further_px: float) -> Array:
        points = centres[:, None] + (radii + further_px)[..., None] * ring - 0.5
        return np.asarray(map_coordinates(smooth, [points[..., 1], points[..., 0]], order=1, mode="nearest"))

    seen = _between_lids(picture.shape, lids, centres[:, None] + radii[..., None] * ring)
    rise = np.clip(brightness(_HALF_WIDTH_PX) - brightness(-_HALF_WIDTH_PX), *_CLIP)
    count = seen.sum(1)
    score = np.where(count >= _LEAST_SEEN * _ANGLES, (rise * seen).sum(1) / np.maximum(count, 1), -np.inf)
    best = int(score.argmax())
    return None if score[best] == -np.inf else np.asarray(centres[best])


def fit_iris(picture: NDArray[np.uint8], lids: Array, start: Array, radius_px: float) -> Array | None:
    """Fit a circle to the points where a picture brightens most along rays from ``start``.

    Every point of the edge counts alike, however strong, and those far from the circle next to nothing; a search for
    the best circle, in turn, follows the strongest part of the edge, the dark line of a lid, say.

    Args:
        picture: uint8 [H, W].
        lids: [K, 2], outline between the lids; only what lies within is looked at. Pixel centres at x.5.
        start: [2], about the centre; the edge is looked for from 0.75 to 1.25 radii around it.
        radius_px: about the radius.

    Returns:
        Its centre [2]; None where less than 12 points are seen.
    """
    angles = np.linspace(0, 2 * np.pi, _FIT_ANGLES, endpoint=False)
    rays = radius_px * np.stack([np.cos(angles), np.sin(angles)], -1)
    rays = rays[_between_lids(picture.shape, lids, start + _FIT_CLEARANCE * rays)]
    points = start + _FIT_RADII[:, None, None] * rays
    smooth = gaussian_filter(picture.astype(np.float64), 1.0)
    profiles = map_coordinates(smooth, [points[..., 1] - 0.5, points[..., 0] - 0.5], order=1, mode="nearest")
    rises = np.gradient(profiles, axis=0) * 100
    best = rises.argmax(0)
    kept = (rises.max(0, initial=0) >= _LEAST_RISE) & (best > 0) & (best < len(_FIT_RADII) - 1)
    if kept.sum() < _LEAST_POINTS:
        return None
    edge = points[best[kept], np.nonzero(kept)[0]]

    def distances(circle: Array) -> Array:
        return np.asarray(np.hypot(*(edge - circle[:2]).T) - circle[2])

    return np.asarray(least_squares(distances, [*start, radius_px], loss="soft_l1", f_scale=_INLIER_PX).x[:2])


def _between_lids(shape: tuple[int, ...], lids: Array, points: Array) -> NDArray[np.bool_]:
    """Whether points [..., 2] lie between the lids and a little away from them."""
    mask = np.zeros((shape[0] * _FINE, shape[1] * _FINE), np.uint8)
    cv2.fillPoly(mask, [np.round(lids * _FINE - 0.5).astype(np.int32)], (1,))
    size = 2 * round(_LID_MARGIN_PX * _FINE) + 1
    between = cv2.erode(mask, np.ones((size, size), np.uint8))
    column, row = np.floor(points * _FINE).astype(int).transpose(-1, *range(points.ndim - 1))
    inside = (column >= 0) & (row >= 0) & (column < mask.shape[1]) & (row < mask.shape[0])
    return np.asarray(inside & (between[row.clip(0, mask.shape[0] - 1), column.clip(0, mask.shape[1] - 1)] > 0))


def gap_above(lids: Array, centre: Array) -> float:
    """How far a point lies below the upper lid, from the 8 lid landmarks [8, 2]; the same unit."""
    return float(centre[1] - np.interp(centre[0], lids[:5, 0], lids[:5, 1]))


def measure(model: Model, eyes: int, seed: int = 3) -> list[tuple[float, float, float, float]]:
    """Find the irises of rendered eyes that look about straight ahead.

    Returns:
        For each eye: how far the iris's centre lies below the upper lid, in radii of the iris, and how far the search,
        the fit and the network put it below its true place, in per cent of the corner distance (which is 100 pixels).
    """
    height, width = model.size
    fine_width = round(CROP_WIDTH_IN_CORNER_DISTANCES * CORNER_DISTANCE_PX)
    renderer = make_renderer(round(fine_width * height / width), fine_width)
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    rows: list[tuple[float, float, float, float]] = []
    while len(rows) < eyes:
        batch = renderer(_BATCH, generator, Difficulty(pose=0.6, jitter=0.0, degradation=0.3))
        straight = ~batch.closed & (batch.gaze.abs() <= _STRAIGHT_RAD).all(1)
        for index in torch.nonzero(straight)[:, 0].tolist():
            picture = batch.image[index].numpy().astype(np.uint8)
            true = batch.landmarks[index].numpy().astype(np.float64)
            centre = true[8:16].mean(0)
            radius_px = float(np.linalg.norm(true[8:16] - centre, axis=1).max())
            # Not from the truth itself, which a search that finds nothing better would return.
            start = centre + random.uniform(-_STEP_PX, _STEP_PX, 2)
            searched = find_iris(picture, true[:8], start, radius_px)
            fitted = fit_iris(picture, true[:8], start, radius_px)
            if searched is not None and fitted is not None:
                search, fit, network = (
                    float(found[1] - centre[1]) for found in (searched, fitted, _found_by(model, picture))
                )
                rows.append((gap_above(true[:8], centre) / radius_px, search, fit, network))
    return rows[:eyes]


def measure_labelled(model: Model, eyes: LabelledEyes) -> tuple[Array, Array]:
    """Fit circles to the irises of real eyes that have a reference.

    Returns:
        How far the reference and the network are from the circle's centre, each [N, 2], to the right and down, in per
        cent of the corner distance; without the eyes that show too little of the edge.

    Raises:
        ValueError: no eye has a reference and shows enough.
    """
    references, networks = [], []
    for index, landmarks in enumerate(find_on_canvases(model.find_landmarks, model.size, eyes)):
        if eyes.is_ref[index]:
            lids, iris = eyes.lid[index].astype(np.float64), eyes.iris_ref[index].astype(np.float64)
            reference, network = iris[0], landmarks[8:16].mean(0)
            radius_px = float(np.linalg.norm(iris[1:] - reference, axis=1).mean())
            # From between the two, so that the rays favour neither.
            fitted = fit_iris(eyes.eye[index], lids, (reference + network) / 2, radius_px)
            if fitted is not None:
                references.append(reference - fitted)
                networks.append(network - fitted)
    if not networks:
        raise ValueError(f"none of {len(eyes.eye)} eyes has a reference iris and shows enough of its edge")
    return np.array(references), np.array(networks)


def _found_by(model: Model, picture: NDArray[np.uint8]) -> Array:
    """Return the centre of the iris [2] that a network finds in a finer picture than it takes."""
    height, width = model.size
    crop = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(model.find_landmarks(eye_from_crop(crop))[8:16].mean(0) * (picture.shape[1] / width))


def report(rows: Sequence[tuple[float, float, float, float]]) -> str:
    """Return a Markdown table: medians, by how far the centre of the iris lies below the upper lid."""
    lines = [
        "| centre below the lid, in radii | eyes | the search is lower by | the fit | the network |",
        "|---|---|---|---|---|",
    ]
    values = np.array(rows)
    for low, high in itertools.pairwise(_EDGES):
        part = values[(values[:, 0] >= low) & (values[:, 0] < high)]
        if len(part):
            medians = " | ".join(f"{median:+.2f} %" for median in np.median(part[:, 1:], 0))
            lines.append(f"| {low:.1f} to {high:.1f} | {len(part)} | {medians} |")
    return "\n".join(lines)


def report_labelled(references: Array, networks: Array) -> str:
    """Return a Markdown table: where the reference and the network lie as seen from the fitted circles."""
    lines = ["| | eyes | lower by, median | distance, mean / median |", "|---|---|---|---|"]
    for name, offsets in (("reference", references), ("network", networks)):
        distance = np.linalg.norm(offsets, axis=1)
        lines.append(
            f"| {name} | {len(offsets)} | {np.median(offsets[:, 1]):+.2f} % | {distance.mean():.2f} / "
            f"{np.median(distance):.2f} % |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.iris_search", description="Measure a search for irises.")
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT_MODEL, help="ONNX file (the committed weights)")
    parser.add_argument("--eyes", type=int, default=250, help="rendered eyes (250)")
    parser.add_argument("--labelled", type=Path, metavar="EYES.npz", help="labelled real eyes, not rendered ones")
    given = parser.parse_args(arguments)
    if given.eyes < 1:
        parser.error(f"--eyes takes a number above 0, got {given.eyes}")
    for path in filter(None, (given.model, given.labelled)):
        if not path.is_file():
            print(f"training.iris_search: no file {path}", file=sys.stderr)
            return 2
    try:
        model = Model(given.model)
        if given.labelled:
            print(report_labelled(*measure_labelled(model, read_eyes(given.labelled))))
        else:
            print(report(measure(model, given.eyes)))
    except ValueError as error:
        print(f"training.iris_search: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
