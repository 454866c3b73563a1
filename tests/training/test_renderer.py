"""The renderer: shapes, seeds, and labels that agree with each other."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from training.renderer import Difficulty, EyeBatch, RenderOptions, equalise, render  # noqa: E402
from training.renderer.camera import _cosine_transform, _cubic_kernel  # noqa: E402
from training.renderer.draws import Draws, smoothstep  # noqa: E402

HEIGHT, WIDTH = 36, 60


def _eyes(seed: int = 0, batch: int = 16, difficulty: Difficulty | None = None) -> EyeBatch:
    difficulty = Difficulty() if difficulty is None else difficulty
    generator = torch.Generator().manual_seed(seed)
    return render(batch, HEIGHT, WIDTH, generator=generator, difficulty=difficulty)


@pytest.fixture(scope="module")
def eyes() -> EyeBatch:
    """Many eyes in well-placed, clear crops."""
    return _eyes(batch=64, difficulty=Difficulty(pose=1.0, jitter=0.0, degradation=0.0))


@pytest.mark.parametrize(("height", "width"), [(36, 60), (72, 120), (40, 64)], ids=["small", "large", "other"])
def test_shapes_and_ranges(height: int, width: int) -> None:
    """Every size gives whole grey levels and labels of the promised shapes."""
    batch = render(2, height, width, generator=torch.Generator().manual_seed(0))
    assert batch.image.shape == (2, height, width)
    assert batch.landmarks.shape == (2, 18, 2)
    assert (batch.radius.shape, batch.gaze.shape, batch.closed.shape) == ((2,), (2, 2), (2,))
    assert batch.closed.dtype == torch.bool
    assert torch.equal(batch.image, batch.image.round())
    assert float(batch.image.min()) >= 0
    assert float(batch.image.max()) <= 255


def test_a_seed_gives_the_same_pictures() -> None:
    """The same seed gives the same pictures and labels, another seed others."""
    first, again, other = _eyes(3, 4), _eyes(3, 4), _eyes(4, 4)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.landmarks, again.landmarks)
    assert not torch.equal(first.image, other.image)


def test_rows_of_a_batch() -> None:
    """A slice of a batch keeps pictures and labels together."""
    batch = _eyes(0, 4)
    part = batch[slice(1, 3)]
    assert len(part) == 2
    assert torch.equal(part.landmarks, batch.landmarks[1:3])


def test_corners_lie_where_a_crop_puts_them(eyes: EyeBatch) -> None:
    """Without jitter the corners are level, one and a half of their distances make the crop, and nasal is left."""
    nasal, temporal = eyes.landmarks[:, 0], eyes.landmarks[:, 4]
    expected_x = torch.tensor([WIDTH / 2 - WIDTH / 3, WIDTH / 2 + WIDTH / 3])
    found_x = torch.stack([nasal[:, 0], temporal[:, 0]], 1)
    assert torch.allclose(found_x, expected_x.expand_as(found_x), atol=1e-3)
    assert torch.allclose(nasal[:, 1], torch.full((64,), HEIGHT / 2), atol=1e-3)


def test_jitter_moves_the_corners() -> None:
    """Full jitter shifts the middle of the corners by about 5 % of their distance (root mean square)."""
    batch = _eyes(1, 256, Difficulty(pose=1.0, jitter=1.0, degradation=0.0))
    middle = (batch.landmarks[:, 0] + batch.landmarks[:, 4]) / 2 - torch.tensor([WIDTH / 2, HEIGHT / 2])
    spread = float(middle.pow(2).mean().sqrt()) / (WIDTH / 1.5)
    assert 0.03 < spread < 0.065


def test_landmarks_are_plausible(eyes: EyeBatch) -> None:
    """Upper lid above lower lid, a round iris of plausible size, and an eyeball about twice as large."""
    points = eyes.landmarks[~eyes.closed]
    radius = eyes.radius[~eyes.closed]
    assert bool((points[:, 2, 1] <= points[:, 6, 1] + 1e-3).all())
    iris_radius = (points[:, 8:16] - points[:, 8:16].mean(1, keepdim=True)).norm(dim=-1).amax(1)
    ratio = iris_radius / radius
    assert float(ratio.min()) > 0.4
    assert float(ratio.max()) < 0.6
    assert bool((points[:, 8, 0] < points[:, 12, 0]).all()), "the first point on the iris is the nasal one"
    assert bool((points[:, 10, 1] < points[:, 14, 1]).all()), "the iris is walked over its top"


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_gaze_agrees_with_landmarks(jitter: float) -> None:
    """Front point minus eyeball centre, over the radius, is the gaze."""
    batch = _eyes(5, 32, Difficulty(pose=1.0, jitter=jitter, degradation=0.0))
    direction = (batch.landmarks[:, 16] - batch.landmarks[:, 17]) / batch.radius[:, None]
    pitch, yaw = batch.gaze.unbind(1)
    assert torch.allclose(direction[:, 1], -pitch.sin(), atol=1e-4)
    assert torch.allclose(direction[:, 0], yaw.sin() * pitch.cos(), atol=1e-4)


def test_closed_eyes_show_no_eyeball() -> None:
    """Where the lids are closed, they meet."""
    options = RenderOptions(closed_share=1.0)
    batch = render(8, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0), options=options)
    assert bool(batch.closed.all())
    opening = batch.landmarks[:, 6, 1] - batch.landmarks[:, 2, 1]
    assert float(opening.max()) < 0.12 * WIDTH


def test_the_iris_is_darker_than_the_white(eyes: EyeBatch) -> None:
    """In clear pictures of open eyes the ring inside the iris' edge is darker than the one outside, on average."""
    centre = eyes.landmarks[:, 8:16].mean(1, keepdim=True)
    sides = eyes.landmarks[:, [8, 12]]

    def levels(factor: float) -> Any:
        position = (centre + (sides - centre) * factor).floor().long()
        columns, rows = position[..., 0].clamp(0, WIDTH - 1), position[..., 1].clamp(0, HEIGHT - 1)
        return eyes.image[torch.arange(len(eyes))[:, None], rows, columns]

    assert float(levels(0.8).mean()) + 20 < float(levels(1.3).mean())


def test_degradation_changes_pictures_and_not_labels() -> None:
    """The more degradation, the farther a picture is from the clean one of the same eye; the labels stay."""

    def degraded(share: float) -> EyeBatch:
        generator = torch.Generator().manual_seed(2)
        return render(64, HEIGHT, WIDTH, generator=generator, difficulty=Difficulty(1.0, 0.0, share))

    clean, mild, strong = degraded(0.0), degraded(0.3), degraded(1.0)
    changes = [float((batch.image - clean.image).abs().mean()) for batch in (mild, strong)]
    assert 1 < changes[0] < 0.7 * changes[1]
    assert torch.equal(strong.landmarks, clean.landmarks)


@settings(max_examples=40)
@given(picture=hnp.arrays(np.uint8, (9, 14)))
def test_equalisation_is_opencvs(picture: NDArray[np.uint8]) -> None:
    """Equalisation agrees with OpenCV on any picture, also those of one level.

    A level that comes out exactly between two whole numbers may go either way: the last bit of a product decides.
    """
    found = equalise(torch.from_numpy(picture)[None])[0].numpy()
    expected = cv2.equalizeHist(picture).astype(np.float32)
    counts = np.bincount(picture.ravel(), minlength=256)
    first = counts[picture.min()]
    exact = (counts.cumsum()[picture] - first) * 255 / max(picture.size - first, 1)
    halfway = np.abs(exact % 1 - 0.5) < 1e-4
    assert np.array_equal(found[~halfway], expected[~halfway])
    assert np.abs(found - expected).max() <= 1


def test_equalisation_of_rendered_pictures() -> None:
    """Equalisation agrees with OpenCV on the pictures that it is for."""
    options = RenderOptions(equalised=False)
    raw = render(8, 72, 120, generator=torch.Generator().manual_seed(9), options=options).image
    expected = np.stack([cv2.equalizeHist(picture) for picture in raw.numpy().astype(np.uint8)])
    assert np.array_equal(equalise(raw).numpy(), expected)


def test_cosine_transform_is_orthonormal() -> None:
    """The matrix of the JPEG step and its transpose undo each other."""
    matrix = _cosine_transform(torch.device("cpu"))
    assert torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-5)


def test_cubic_kernel_interpolates() -> None:
    """The cubic kernel is 1 at 0, 0 at other whole numbers and continuous."""
    assert torch.allclose(_cubic_kernel(torch.tensor([0.0, 1.0, 2.0, 3.0])), torch.tensor([1.0, 0.0, 0.0, 0.0]))
    assert float(_cubic_kernel(torch.tensor([0.9999])).abs()) < 1e-3


def test_running_out_of_random_numbers_raises() -> None:
    """A renderer that takes more numbers than were drawn says so instead of repeating them."""
    draws = Draws(torch.zeros(1, 1), torch.zeros(1, 1))
    draws.uniform(0.0, 1.0)
    draws.normal(0.0, 1.0)
    with pytest.raises(IndexError, match="2 uniform numbers wanted, 1 drawn"):
        draws.uniform(0.0, 1.0)
    with pytest.raises(IndexError, match="2 normal numbers wanted, 1 drawn"):
        draws.normal(0.0, 1.0)


@given(st.floats(-3, 3), st.floats(-1, 1), st.floats(-1, 1).filter(lambda width: abs(width) > 0.01))
def test_smoothstep_runs_from_0_to_1(value: float, low: float, width: float) -> None:
    """A smooth step is 0 before its start and 1 after its end, whichever way it runs."""
    step = float(smoothstep(torch.tensor(value, dtype=torch.float64), low, low + width))
    assert 0 <= step <= 1
    if (value - low) / width <= 0:
        assert step == 0
    if (value - low) / width >= 1:
        assert step == 1
