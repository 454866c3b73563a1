"""The network: shapes, soft-argmax, folding, targets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from training.network import (  # noqa: E402
    LANDMARK_COUNT,
    Elg,
    NetworkConfig,
    SoftArgmax,
    fold_normalisation,
    target_heatmaps,
)

HEIGHT, WIDTH = 18, 30


def _tiny() -> Elg:
    torch.manual_seed(0)
    return Elg(NetworkConfig(height=36, width=60, stride=2, widths=(8, 12), pools=(2,), modules=2))


@pytest.mark.parametrize(("height", "width", "stride"), [(36, 60, 2), (72, 120, 4)])
def test_outputs_have_the_promised_shapes(height: int, width: int, stride: int) -> None:
    """Heatmaps are smaller than the input by the stride, landmarks lie in the input, the radius is one number."""
    network = Elg(NetworkConfig.for_size(height, width)).eval()
    with torch.no_grad():
        heatmaps, landmarks, radius = network(torch.zeros(3, 1, height, width))
    assert heatmaps.shape == (3, LANDMARK_COUNT, height // stride, width // stride)
    assert landmarks.shape == (3, LANDMARK_COUNT, 2)
    assert radius.shape == (3, 1)
    assert bool(((landmarks > 0) & (landmarks < torch.tensor([width, height]))).all())


def test_every_hourglass_gives_heatmaps() -> None:
    """The stack has one set of heatmaps for each hourglass, and the last one is returned."""
    network = _tiny().eval()
    eye = torch.rand(2, 1, 36, 60)
    with torch.no_grad():
        stack = network.heatmap_stack(eye)
        assert len(stack) == 2
        assert torch.equal(stack[-1], network(eye)[0])


@pytest.mark.parametrize(
    ("width", "stride", "pools", "message"),
    [
        (62, 2, (2,), "multiples of 4, got 36 x 62"),
        (60, 4, (2,), "multiples of 8, got 36 x 60"),
        (60, 2, (2, 3), "2 widths need 1 pools, got 2"),
        (60, 3, (2,), "the stride must be 2 or 4, got 3"),
    ],
)
def test_impossible_sizes_are_refused(width: int, stride: int, pools: tuple[int, ...], message: str) -> None:
    """A configuration that cannot shrink evenly, or has too many steps, says what it needs."""
    with pytest.raises(ValueError, match=message):
        NetworkConfig(height=36, width=width, stride=stride, widths=(8, 8), pools=pools)


@given(
    x=st.floats(4, WIDTH - 4),
    y=st.floats(4, HEIGHT - 4),
    stride=st.sampled_from([1, 2]),
    sigma_and_tolerance=st.one_of(
        st.tuples(st.floats(1.0, 2.0), st.just(0.51)), st.tuples(st.floats(7.0, 9.0), st.just(0.05))
    ),
)
def test_soft_argmax_finds_the_middle_of_a_bump(
    x: float, y: float, stride: int, sigma_and_tolerance: tuple[float, float]
) -> None:
    """A bump's middle is found to half a cell if it is narrow, and to a twentieth if it is wider than ten cells.

    At a sharpness of 100 the softmax narrows a Gaussian ten times, and what is narrower than a cell has no inside.
    """
    sigma, tolerance = sigma_and_tolerance
    centre = torch.tensor([[[x, y]]]).expand(1, LANDMARK_COUNT, 2)
    heatmaps = target_heatmaps(centre, HEIGHT, WIDTH, sigma)
    found = SoftArgmax(HEIGHT, WIDTH, stride, 100.0)(heatmaps) / stride
    assert torch.allclose(found, centre, atol=tolerance)


@given(row=st.integers(0, HEIGHT - 1), column=st.integers(0, WIDTH - 1), height=st.floats(0.5, 1000.0))
def test_soft_argmax_of_a_single_cell(row: int, column: int, height: float) -> None:
    """One cell far above the rest is found exactly, however high it is, in input pixels with centres at x.5."""
    heatmaps = torch.zeros(1, LANDMARK_COUNT, HEIGHT, WIDTH)
    heatmaps[..., row, column] = height
    found = SoftArgmax(HEIGHT, WIDTH, 2, 100.0)(heatmaps)[0, 0].numpy()
    assert np.allclose(found, [2 * column + 1, 2 * row + 1], atol=1e-3)


def test_target_heatmaps_peak_at_the_landmark() -> None:
    """A bump has height 1 at its landmark and falls to exp(-1/2) one deviation away."""
    maps = target_heatmaps(torch.tensor([[[10.5, 7.5]]]), HEIGHT, WIDTH, 2.0)
    assert maps.shape == (1, 1, HEIGHT, WIDTH)
    assert float(maps[0, 0, 7, 10]) == pytest.approx(1.0)
    assert float(maps[0, 0, 7, 12]) == pytest.approx(np.exp(-0.5))


def test_folding_changes_nothing_but_the_layers() -> None:
    """After folding no normalisation is left and the outputs are the same."""
    network = _tiny()
    eye = torch.rand(4, 1, 36, 60) * 2 - 1
    network.train()
    with torch.no_grad():
        network(eye)  # moves the running statistics away from 0 and 1
        expected = network.eval()(eye)
        folded = fold_normalisation(network)
        found = folded(eye)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    for before, after in zip(expected, found, strict=True):
        assert torch.allclose(before, after, atol=1e-3)
