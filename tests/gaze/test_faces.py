"""Finding faces."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onepass import InputError, MissingExtraError
from onepass.gaze import Box, CascadeFinder, FoundFace, geometry
from onepass.gaze.find.cascades import _face, _plausible_pair
from onepass.gaze.find.faces import without_overlaps

cv2 = pytest.importorskip("cv2", reason="needs OpenCV: pip install '.[gaze]'")

# Eye centres in scikit-image's astronaut, measured by hand on a fivefold enlargement: subject's right, left.
ASTRONAUT_EYES = np.array([[203.5, 101.4], [246.8, 103.4]])


@pytest.fixture(scope="module")
def grey(astronaut: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The astronaut in grey."""
    picture: np.ndarray[Any, Any] = cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY)
    return picture


@pytest.fixture(scope="module")
def finder() -> CascadeFinder:
    """A finder with its defaults."""
    return CascadeFinder()


def centres(face: FoundFace) -> np.ndarray[Any, Any]:
    """Return both eye centres [2, 2]."""
    if face.right is None or face.left is None:
        raise AssertionError("an eye is missing")
    return np.stack([face.right.mean(axis=0), face.left.mean(axis=0)])


def test_finds_both_eyes(finder: CascadeFinder, grey: np.ndarray[Any, Any]) -> None:
    """One face; its eyes where they are to a fifth of a corner distance, nasal corners towards the nose."""
    (face,) = finder(grey)
    assert np.linalg.norm(centres(face) - ASTRONAUT_EYES, axis=1).max() < 4
    assert face.right is not None
    assert face.left is not None
    assert face.right[0, 0] > face.right[1, 0]
    assert face.left[0, 0] < face.left[1, 0]


def test_scale_does_not_matter(finder: CascadeFinder, grey: np.ndarray[Any, Any]) -> None:
    """A picture four times as large is searched at a smaller size, and gives coordinates of the large one."""
    large = cv2.resize(grey, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    (face,) = finder(large)
    assert np.linalg.norm(centres(face) / 4 - ASTRONAUT_EYES, axis=1).max() < 4


@pytest.mark.parametrize("tilt_deg", [-100, -35, -10, 20, 40, 125, 180])
def test_tilted_heads_are_found(tilt_deg: int, finder: CascadeFinder, grey: np.ndarray[Any, Any]) -> None:
    """A head tilted either way is found, its eyes where they are in the picture as it came, nasal corners inside."""
    matrix = cv2.getRotationMatrix2D((225, 110), -tilt_deg, 1)
    tilted = cv2.warpAffine(grey, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    (face,) = finder(tilted)
    eyes = geometry.apply(matrix, ASTRONAUT_EYES)
    assert np.linalg.norm(centres(face) - eyes, axis=1).max() < 5
    assert np.linalg.norm(face.box.centre - (225, 113)) < 12
    assert face.right is not None
    assert np.linalg.norm(face.right[0] - eyes[1]) < np.linalg.norm(face.right[1] - eyes[1])


def test_tilts_can_be_left_out(grey: np.ndarray[Any, Any]) -> None:
    """Without tilts only upright heads are found."""
    matrix = cv2.getRotationMatrix2D((225, 110), 30, 1)
    tilted = cv2.warpAffine(grey, matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    assert CascadeFinder(tilts_deg=())(tilted) == []


def test_other_pictures_have_no_faces(finder: CascadeFinder) -> None:
    """Bricks, grass, a cell and printed text are no faces, turned or not."""
    data = pytest.importorskip("skimage.data")
    for name in ("brick", "grass", "cell", "text", "page"):
        assert finder(getattr(data, name)()[:256, :256]) == []


def test_the_largest_face_comes_first(grey: np.ndarray[Any, Any]) -> None:
    """Faces are sorted by size, and max_faces keeps the first."""
    head = grey[:256, 96:352]
    small = np.full_like(head, 128)
    small[:192, :192] = cv2.resize(head, (192, 192), interpolation=cv2.INTER_AREA)
    both = np.hstack([small, head])
    large, little = CascadeFinder()(both)
    assert large.box.area_px > little.box.area_px
    assert large.box.left_px > 256 > little.box.left_px
    (only,) = CascadeFinder(max_faces=1)(both)
    assert only.box == large.box


@pytest.mark.parametrize("covered", ["right", "left", "both"])
def test_missing_eyes_are_placed(covered: str, finder: CascadeFinder, grey: np.ndarray[Any, Any]) -> None:
    """An eye that the cascade cannot see is placed by the other one, or by the face box."""
    hidden = grey.copy()
    for side, (x, y) in zip(("right", "left"), ASTRONAUT_EYES.astype(int), strict=True):
        if covered in (side, "both"):
            # A patch of skin: enough for the eye cascade, and the face cascade gets over it.
            hidden[y - 8 : y + 8, x - 12 : x + 12] = grey[y + 14 : y + 30, x - 12 : x + 12]
    faces = CascadeFinder(min_neighbours=2)(hidden)
    assert len(faces) == 1
    assert np.linalg.norm(centres(faces[0]) - ASTRONAUT_EYES, axis=1).max() < 10


def test_no_face_is_no_error(finder: CascadeFinder) -> None:
    """Flat pictures, noise, and pictures smaller than any face give an empty list."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 240), dtype=np.uint8)
    assert finder(noise) == []
    assert finder(np.zeros((240, 320), np.uint8)) == []
    assert finder(np.zeros((1, 1), np.uint8)) == []
    assert finder(np.zeros((2, 5000), np.uint8)) == []


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8)],
    ids=["colour", "float", "empty"],
)
def test_only_grey_pictures(picture: np.ndarray[Any, Any], finder: CascadeFinder) -> None:
    """A finder says which array it needs."""
    with pytest.raises(InputError, match=r"uint8 \[H, W\]"):
        finder(picture)


@pytest.mark.parametrize("name", ["max_faces", "detection_side_px", "min_face_px", "min_neighbours"])
def test_options_are_checked(name: str) -> None:
    """A count or size below one is refused by name."""
    with pytest.raises(InputError, match=name):
        CascadeFinder(**{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("there", [{}, {"data": SimpleNamespace(haarcascades="nowhere")}], ids=["no-data", "no-files"])
def test_opencv_without_cascades_is_named(there: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 5 has no cascades: the error says which version is here and how to install one that has them."""
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(__version__="5.0.0", CascadeClassifier=None, **there))
    with pytest.raises(MissingExtraError, match=r"OpenCV 5\.0\.0 lacks.*opencv-python-headless>=4\.8,<5"):
        CascadeFinder()


def test_a_missing_opencv_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenCV, the error gives the command that installs it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*opencv-python-headless"):
        CascadeFinder()


def test_one_finder_serves_many_threads(finder: CascadeFinder, grey: np.ndarray[Any, Any]) -> None:
    """Calls at the same time give what calls one after the other give."""
    head = grey[:256, 96:352]
    pictures = [head, head[:, ::-1], head, head[:, ::-1]]
    alone = [[face.box for face in finder(picture)] for picture in pictures[:2]]
    with ThreadPoolExecutor(4) as pool:
        together = [[face.box for face in faces] for faces in pool.map(finder, pictures)]
    assert together == alone * 2
    assert all(alone)


def test_corners_from_centres() -> None:
    """Corners lie on the line through the eye centres, the nasal ones inside, at a share of their distance."""
    face = FoundFace.from_eye_centres(Box(0, 0, 200, 200), right=(60, 80), left=(140, 80))
    assert face.right is not None
    assert face.left is not None
    assert face.right.tolist() == [[78, 80], [42, 80]]
    assert face.left.tolist() == [[122, 80], [158, 80]]


@pytest.mark.parametrize(
    ("right", "message"),
    [(None, "at least one"), (np.zeros((2, 2)), "two different"), (np.zeros((3, 2)), "two different")],
    ids=["no-eye", "no-width", "shape"],
)
def test_found_faces_are_checked(right: Any, message: str) -> None:
    """A face without eyes, or an eye without two corners, is refused when it is made."""
    with pytest.raises(InputError, match=message):
        FoundFace(Box(0, 0, 9, 9), right, None)


def test_nested_hits_are_one_face() -> None:
    """A smaller box whose middle lies in a larger one is the same face; one beside it is not."""
    boxes = Box(20, 20, 50, 50), Box(120, 0, 60, 60), Box(0, 0, 100, 100)
    nested, beside, large = (FoundFace.from_eye_centres(box, (0, 0), (9, 0)) for box in boxes)
    assert without_overlaps([nested, beside, large]) == [large, beside]


def test_what_has_no_eyes_has_to_look_more_like_a_face(finder: CascadeFinder) -> None:
    """Weak hits without eyes are dropped: the heads on old coins, most of which the face cascade takes for faces."""
    coins = pytest.importorskip("skimage.data").coins()
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_default.xml")
    assert len(cascade.detectMultiScale(coins, 1.1, 5, minSize=(40, 40))) > len(finder(coins))


@pytest.mark.parametrize(("width_px", "left_px", "top_px"), [(860, 725, 359), (900, 765, 383), (980, 840, 425)])
def test_what_only_happens_to_look_like_a_face_is_none(width_px: int, left_px: int, top_px: int) -> None:
    """Gravel in which the cascades see a face and an eye is no face: it is none at other sizes or in a mirror."""
    gravel = pytest.importorskip("skimage.data").gravel()
    picture = cv2.resize(gravel, (width_px, width_px), interpolation=cv2.INTER_AREA)
    part = np.ascontiguousarray(picture[top_px : top_px + 180, left_px : left_px + 180])
    finder = CascadeFinder(tilts_deg=())
    ((box, score),) = finder._hits(part, 800)
    assert score > 2.5
    assert any(eye is not None for eye in finder._eyes_in(part, box))
    assert finder(part) == []


def test_one_eye_gives_the_other_by_symmetry() -> None:
    """An eye that is not seen lies across the middle of the box from the one that is, at its height."""
    box, right, left = Box(100, 200, 100, 100), np.array([0.31, 0.40]), np.array([0.69, 0.40])
    for face in (_face(box, right, None), _face(box, None, left), _face(box, right, left)):
        np.testing.assert_allclose(centres(face), [[131, 240], [169, 240]])


def test_pairs_that_cannot_be_one_face_lose_an_eye() -> None:
    """Of two hits that are too close, or too steep, the one nearer to its usual place stays."""
    right, left = np.array([0.30, 0.38]), np.array([0.70, 0.40])
    both = _plausible_pair(right, left)
    assert both[0] is right
    assert both[1] is left
    kept, lost = _plausible_pair(right, np.array([0.5, 0.3]))
    assert kept is right
    assert lost is None
    lost, kept = _plausible_pair(np.array([0.32, 0.8]), left)
    assert kept is left
    assert lost is None
