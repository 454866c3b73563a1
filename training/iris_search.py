"""How far off a search for the iris's edge is, on rendered eyes: ``python -m training.iris_search``.

The reference irises of the labelled real eyes come from such a search (Daugman, "High confidence visual recognition of
persons by a test of statistical independence", PAMI 1993: the circle across which the picture brightens most). Real
eyes have no other truth; rendered eyes do. Prints how far the search and a network are off, by how far the centre of
the iris lies below the upper lid.
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

from training.evaluate import DEFAULT_MODEL, Model
from training.real_eyes import CORNER_DISTANCE_PX, eye_from_crop
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


def measure(model: Model, eyes: int, seed: int = 3) -> list[tuple[float, float, float]]:
    """Search for the irises of rendered eyes that look about straight ahead.

    Returns:
        For each eye: how far the iris's centre lies below the upper lid, in radii of the iris, and how far the search
        and the network put it below its true place, in per cent of the corner distance (which is 100 pixels).
    """
    height, width = model.size
    fine_width = round(CROP_WIDTH_IN_CORNER_DISTANCES * CORNER_DISTANCE_PX)
    renderer = make_renderer(round(fine_width * height / width), fine_width)
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    rows: list[tuple[float, float, float]] = []
    while len(rows) < eyes:
        batch = renderer(_BATCH, generator, Difficulty(pose=0.6, jitter=0.0, degradation=0.3))
        straight = ~batch.closed & (batch.gaze.abs() <= _STRAIGHT_RAD).all(1)
        for index in torch.nonzero(straight)[:, 0].tolist():
            picture = batch.image[index].numpy().astype(np.uint8)
            true = batch.landmarks[index].numpy().astype(np.float64)
            centre = true[8:16].mean(0)
            radius_px = float(np.linalg.norm(true[8:16] - centre, axis=1).max())
            # Not from the truth itself, which a search that finds nothing better would return.
            searched = find_iris(picture, true[:8], centre + random.uniform(-_STEP_PX, _STEP_PX, 2), radius_px)
            if searched is not None:
                found = _found_by(model, picture)
                gap = gap_above(true[:8], centre) / radius_px
                rows.append((gap, float(searched[1] - centre[1]), float(found[1] - centre[1])))
    return rows[:eyes]


def _found_by(model: Model, picture: NDArray[np.uint8]) -> Array:
    """Return the centre of the iris [2] that a network finds in a finer picture than it takes."""
    height, width = model.size
    crop = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(model.find_landmarks(eye_from_crop(crop))[8:16].mean(0) * (picture.shape[1] / width))


def report(rows: Sequence[tuple[float, float, float]]) -> str:
    """Return a Markdown table: medians, by how far the centre of the iris lies below the upper lid."""
    lines = [
        "| centre below the lid, in radii | eyes | the search is lower by | the network is lower by |",
        "|---|---|---|---|",
    ]
    values = np.array(rows)
    for low, high in itertools.pairwise(_EDGES):
        part = values[(values[:, 0] >= low) & (values[:, 0] < high)]
        if len(part):
            search, network = np.median(part[:, 1]), np.median(part[:, 2])
            lines.append(f"| {low:.1f} to {high:.1f} | {len(part)} | {search:+.2f} % | {network:+.2f} % |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m training.iris_search", description="Measure a search for irises.")
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT_MODEL, help="ONNX file (the committed weights)")
    parser.add_argument("--eyes", type=int, default=250, help="rendered eyes (250)")
    given = parser.parse_args(arguments)
    if given.eyes < 1:
        parser.error(f"--eyes takes a number above 0, got {given.eyes}")
    try:
        model = Model(given.model)
    except ValueError as error:
        print(f"training.iris_search: {error}", file=sys.stderr)
        return 2
    print(report(measure(model, given.eyes)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
