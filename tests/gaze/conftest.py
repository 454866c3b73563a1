"""What the tests of gaze share: a picture with a face in it, and a stand-in for the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from onepass import Session, Signature, TensorSpec
from onepass.runtime.fake import FakeBackend

CROP_PX = (120, 72)
ELG_SIGNATURE = Signature(
    inputs=(TensorSpec("eye", np.dtype("float32"), ("N", 1, CROP_PX[1], CROP_PX[0])),),
    outputs=(
        TensorSpec("heatmaps", np.dtype("float32"), ("N", 18, 36, 60)),
        TensorSpec("landmarks", np.dtype("float32"), ("N", 18, 2)),
        TensorSpec("radius", np.dtype("float32"), ("N", 1)),
    ),
)


def ideal_landmarks() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the landmarks [18, 2] of an open eye that looks into the camera, corners where the crop expects them."""
    centre = np.array(CROP_PX) / 2
    turn = np.pi + np.arange(8) * np.pi / 4
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    eyelid, iris = centre + around * (40, 14), centre + around * 17
    return np.concatenate([eyelid, iris, [centre, centre]]).astype(np.float32)


def elg_backend(answer: Callable[[int], np.ndarray[Any, Any]] | None = None) -> FakeBackend:
    """Return a backend that sees the same eye in every crop, or the landmarks that `answer` gives for the n-th call."""
    calls: list[int] = []

    def compute(feeds: Mapping[str, Any]) -> Mapping[str, Any]:
        count = len(feeds["eye"])
        landmarks = ideal_landmarks() if answer is None else answer(len(calls)).astype(np.float32)
        calls.append(count)
        return {
            "heatmaps": np.full((count, 18, 36, 60), 0.5, np.float32),
            "landmarks": np.broadcast_to(landmarks, (count, 18, 2)).copy(),
            "radius": np.full((count, 1), 34, np.float32),
        }

    return FakeBackend(ELG_SIGNATURE, compute)


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What somebody fetched changes no test."""
    monkeypatch.setenv("ONEPASS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def backend() -> FakeBackend:
    """A network that sees the same eye in every crop."""
    return elg_backend()


@pytest.fixture
def session(backend: FakeBackend) -> Session:
    """A session on that network."""
    return Session(backend)


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """scikit-image's portrait of Eileen Collins, uint8 RGB [512, 512, 3] (NASA, public domain)."""
    data = pytest.importorskip("skimage.data", reason="needs scikit-image: pip install '.[demo]'")
    picture: np.ndarray[Any, np.dtype[np.uint8]] = data.astronaut()
    return picture
