"""Thirty synthetic clips with known people, positions, visibility and gaze: cuts, crossings, tilts, empty scenes.

People are drawn (`benchmarks.portraits`) or scikit-image's astronaut; backgrounds are scikit-image's pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data

from benchmarks.portraits import HEIGHT_PX, WIDTH_PX, eyes_of, portrait

WIDTH, HEIGHT = 480, 270
"""Size of the frames."""

FPS = 30.0

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# The astronaut's head out of her picture, and the middles of her irises, measured by hand.
_EVE_LEFT, _EVE_TOP = 145, 5
_EVE_EYES = np.array([[203.5, 101.4], [246.8, 103.4]]) - (_EVE_LEFT, _EVE_TOP)
# The part of a portrait about its eyes: how far it reaches from their middle, in distances between them.
_EYES_REACH = (0.9, 0.35)


@dataclass(frozen=True, slots=True)
class Person:
    """A person in a frame, as input of the generator.

    Attributes:
        name: One of `benchmarks.portraits.PEOPLE`, or "eve", the astronaut, who looks into the camera.
        x: Middle of the portrait in pixels of the frame.
        y: The same, downwards.
        scale: Size; at 1 a portrait is 160 pixels wide.
        tilt_deg: Clockwise in the frame.
        yaw_deg: Where the eyes look: to the picture's right above 0, before the tilt.
        pitch_deg: Up above 0.
    """

    name: str
    x: float
    y: float = 140.0
    scale: float = 0.8
    tilt_deg: float = 0.0
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Bar:
    """An object that passes in front: a piece of wood of this width."""

    x: float
    width: float = 150.0


@dataclass(frozen=True, slots=True)
class Scene:
    """One frame before it is drawn, from back to front.

    Attributes:
        background: A picture of scikit-image by name, or "plain".
        layers: People and objects in front of it.
        shot: Number of the shot; a cut starts a new one.
        fade: The share of the background `fades_to` in the picture.
        fades_to: The next background.
        light: Factor of the brightness.
        pan_px: How far the background has moved to the left.
    """

    background: str = "plain"
    layers: Sequence[Person | Bar] = ()
    shot: int = 0
    fade: float = 0.0
    fades_to: str = "plain"
    light: float = 1.0
    pan_px: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Truth about one person in a frame.

    Attributes:
        who: Name and shot: one number belongs to each.
        eyes: Middles of the irises, the subject's right and left, float64 [2, 2].
        visible: Visible share of the eyes.
        gaze: Direction, yaw and pitch in degrees, camera frame.
        roll_deg: Tilt of the head.
    """

    who: tuple[str, int]
    eyes: Points
    visible: float
    gaze_deg: tuple[float, float]
    roll_deg: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip: its name, its kind, and its scenes, one per frame."""

    name: str
    kind: str
    scenes: Sequence[Scene]
    fps: float = FPS
    max_faces: int | None = None

    def frames(self) -> Iterator[tuple[Picture, float, list[Truth]]]:
        """Yield each frame uint8 [270, 480, 3], its time in seconds, and the truth about it."""
        for index, scene in enumerate(self.scenes):
            picture, truths = draw(scene)
            yield picture, index / self.fps, truths


@cache
def _background(name: str) -> Picture:
    """Return a picture without faces, as large as a frame or wider."""
    if name == "plain":
        shade = np.linspace(110, 150, WIDTH, dtype=np.float32)
        return np.repeat(np.repeat(shade[None, :, None], HEIGHT, 0), 3, 2).astype(np.uint8)
    picture = np.asarray(getattr(skimage.data, name)())
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    picture = picture[..., :3]
    scale = max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    size = max(WIDTH, math.ceil(picture.shape[1] * scale)), max(HEIGHT, math.ceil(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _panned(name: str, pan_px: float) -> Picture:
    picture = _background(name)
    if pan_px:
        picture = np.roll(np.concatenate([picture, picture[:, ::-1]], axis=1), -round(pan_px), axis=1)
    part: Picture = picture[:HEIGHT, :WIDTH].copy()
    return part


@cache
def _portrait(name: str, yaw_deg: float, pitch_deg: float) -> tuple[Picture, Points]:
    """Return a portrait [H, W, 4] and the middles of its irises."""
    if name != "eve":
        yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
        return portrait(name, yaw, pitch), eyes_of(name, yaw, pitch)
    colours = skimage.data.astronaut()[_EVE_TOP:][:HEIGHT_PX, _EVE_LEFT:][:, :WIDTH_PX]  # type: ignore[no-untyped-call]
    mask = np.zeros(colours.shape[:2], np.uint8)
    cv2.ellipse(mask, (80, 105), (66, 96), 0, 0, 360, 255, -1)
    return np.dstack([colours, cv2.GaussianBlur(mask, (0, 0), 5)]), _EVE_EYES


def draw(scene: Scene) -> tuple[Picture, list[Truth]]:
    """Draw a frame, and return the truth about its people."""
    frame = _panned(scene.background, scene.pan_px).astype(np.float32)
    seen: list[tuple[Truth, npt.NDArray[np.float32], float]] = []
    for layer in scene.layers:
        if isinstance(layer, Bar):
            left, right = (round(min(max(layer.x + side * layer.width / 2, 0), WIDTH)) for side in (-1, 1))
            cover = np.zeros((HEIGHT, WIDTH), np.float32)
            cover[:, left:right] = 1
            colours: npt.NDArray[np.float32] = _panned("grass", layer.x % WIDTH).astype(np.float32)
        else:
            colours, cover, truth, eyes, area = _placed(layer, scene.shot)
        frame += cover[..., None] * (colours - frame)
        seen = [(former, mask * (1 - cover), size) for former, mask, size in seen]
        if isinstance(layer, Person):
            seen.append((truth, eyes, area))
    if scene.fade:
        frame += scene.fade * (_background(scene.fades_to)[:HEIGHT, :WIDTH] - frame)
    truths = [replace(truth, visible=float(mask.sum()) / size * (1 - scene.fade)) for truth, mask, size in seen]
    return (frame * scene.light).clip(0, 255).astype(np.uint8), truths


def _placed(
    person: Person, shot: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], Truth, npt.NDArray[np.float32], float]:
    """Return colours [H, W, 3] and cover [H, W] of a person in a frame, the truth, and the eyes' mask and area."""
    picture, eyes = _portrait(person.name, person.yaw_deg, person.pitch_deg)
    turn = np.array(cv2.getRotationMatrix2D((WIDTH_PX / 2, HEIGHT_PX / 2), -person.tilt_deg, person.scale), np.float64)
    turn[:, 2] += np.array([person.x - WIDTH_PX / 2, person.y - HEIGHT_PX / 2])
    # OpenCV counts from the middle of the first pixel.
    shifted = turn.copy()
    shifted[:, 2] += turn[:, :2] @ (0.5, 0.5) - 0.5
    way = cv2.INTER_AREA if person.scale < 1 else cv2.INTER_LINEAR
    warped = cv2.warpAffine(picture, shifted, (WIDTH, HEIGHT), flags=way).astype(np.float32)
    apart = float(np.linalg.norm(eyes[1] - eyes[0]))
    mask: npt.NDArray[np.float32] = np.zeros(picture.shape[:2], np.float32)
    (x, y), (reach_x, reach_y) = eyes.mean(axis=0), (apart * share for share in _EYES_REACH)
    mask[round(y - reach_y) : round(y + reach_y), round(x - reach_x) : round(x + reach_x)] = 1
    yaw, pitch, tilt = (math.radians(angle) for angle in (person.yaw_deg, person.pitch_deg, person.tilt_deg))
    across, up = math.sin(yaw) * math.cos(pitch), math.sin(pitch)
    turned = across * math.cos(tilt) + up * math.sin(tilt), up * math.cos(tilt) - across * math.sin(tilt)
    gaze = math.degrees(math.asin(turned[0] / math.cos(math.asin(turned[1])))), math.degrees(math.asin(turned[1]))
    truth = Truth((person.name, shot), eyes @ turn[:, :2].T + turn[:, 2], 1.0, gaze, person.tilt_deg)
    placed = cv2.warpAffine(mask, shifted, (WIDTH, HEIGHT)).astype(np.float32)
    cover: npt.NDArray[np.float32] = warped[..., 3] / np.float32(255)
    return warped[..., :3], cover, truth, placed, float(mask.sum()) * person.scale**2


def _clip(
    name: str,
    kind: str,
    frames: int,
    scene: Callable[[float], Scene],
    *,
    fps: float = FPS,
    max_faces: int | None = None,
) -> Clip:
    """Make a clip from a function of the time in seconds."""
    return Clip(name, kind, [scene(index / fps) for index in range(frames)], fps, max_faces)


def _between(start: float, end: float, share: float) -> float:
    return start + (end - start) * min(max(share, 0.0), 1.0)


def _cut_to(background: str) -> Callable[[float], Scene]:
    def scene(t: float) -> Scene:
        return Scene(layers=[Person("eve", 240)]) if t < 0.43 else Scene(background, shot=1)

    return scene


def _cut(first: Scene, second: Scene, seconds: float = 1.0) -> Callable[[float], Scene]:
    return lambda t: first if t < seconds else replace(second, shot=1)


def _still(t: float, sway_px: float = 6.0) -> float:
    """Return the sway of a person who stands still."""
    return sway_px * math.sin(3 * t)


def _crossing(behind: str, front: str, scales: tuple[float, float] = (0.8, 0.8)) -> Callable[[float], Scene]:
    def scene(t: float) -> Scene:
        return Scene(
            "brick",
            [Person(behind, _between(380, 100, t / 2.5), scale=scales[0]),
             Person(front, _between(100, 380, t / 2.5), scale=scales[1])],
        )  # fmt: skip

    return scene


def _passing(who: str, speed_px: float, width: float = 150.0, then: str | None = None) -> Callable[[float], Scene]:
    """A person hidden by a bar for a while; with `then`, another person appears behind it."""

    def scene(t: float) -> Scene:
        x = -100 + speed_px * t
        there = who if then is None or x < 240 else then
        return Scene("coffee", [Person(there, 240 + _still(t)), Bar(x, width)])

    return scene


def _there_and_back(t: float) -> Scene:
    """Two people who meet and turn back."""
    share = 1 - abs(t / 1.25 - 1)
    return Scene(layers=[Person("ann", _between(380, 215, share)), Person("dee", _between(100, 225, share))])


def _slides(t: float) -> Scene:
    """A slide show of five pictures, each with another person or nobody."""
    who = ["ann", None, "ben", "cid", None, "eve", "dee", None][int(t / 2) % 8]
    backgrounds = ["plain", "coffee", "brick", "plain", "rocket", "moon", "plain", "page"]
    people = [] if who is None else [Person(who, 200 + 12 * (int(t) % 4))]
    return Scene(backgrounds[int(t / 2) % 8], people, shot=int(t / 2))


def all_clips() -> list[Clip]:
    """Return the thirty clips."""
    plain, three = Scene(), [Person("ann", 90, scale=0.7), Person("cid", 390, scale=0.7)]
    looks: Mapping[int, tuple[float, float]] = {0: (0, 0), 1: (-18, 0), 2: (18, 0), 3: (0, 10), 4: (12, -8)}
    return [
        _clip("cut to a cup", "nobody", 75, _cut_to("coffee")),
        _clip("cut to a page", "nobody", 75, _cut_to("page")),
        _clip("cut to an eye's ground", "nobody", 75, _cut_to("retina")),
        _clip("walks out", "nobody", 90, lambda t: Scene("brick", [Person("ann", 240 + 260 * t)])),
        _clip("fades away", "nobody", 90, lambda t: Scene(
            layers=[Person("ben", 240)], fade=_between(0, 1, (t - 0.5) / 0.6), fades_to="rocket")),
        _clip("is covered for good", "nobody", 90, lambda t: Scene(
            layers=[Person("cid", 240), Bar(_between(-120, 240, t), 220)])),
        _clip("a cup, and nobody", "nobody", 60, lambda _: Scene("coffee")),
        _clip("a camera pans over a rocket", "nobody", 60, lambda t: Scene("rocket", pan_px=300 * t)),
        _clip("lights go on and off", "steady", 75, lambda t: Scene(
            "coffee", [Person("eve", 240 + _still(t))], light=1.0 if int(t * 4) % 2 else 0.45)),
        _clip("a camera pans with a walker", "steady", 75, lambda t: Scene(
            "rocket", [Person("ann", 240 + _still(t))], pan_px=500 * t)),
        _clip("looks around", "steady", 100, lambda t: Scene(layers=[
            Person("ann", 240, yaw_deg=looks[int(t / 0.7)][0], pitch_deg=looks[int(t / 0.7)][1])])),
        _clip("cut to another at the same place", "cut", 75,
              _cut(replace(plain, layers=[Person("ann", 240)]), replace(plain, layers=[Person("ben", 240)]))),
        _clip("cut to another elsewhere", "cut", 75,
              _cut(Scene("brick", [Person("cid", 140)]), Scene("coffee", [Person("dee", 330)]))),
        _clip("cut to the same, nearer", "cut", 75,
              _cut(Scene("coffee", [Person("eve", 200, scale=0.6)]), Scene("grass", [Person("eve", 240, scale=1.2)]))),
        _clip("shot and reverse shot", "cut", 105, lambda t: Scene(
            ["brick", "coffee"][int(t / 0.8) % 2], [Person(["ann", "dee"][int(t / 0.8) % 2], 240)], shot=int(t / 0.8))),
        _clip("two cross", "crossing", 75, _crossing("ben", "ann")),
        _clip("two cross, one counts", "crossing", 75, _crossing("ann", "ben"), max_faces=1),
        _clip("two cross, the drawn before the photographed", "crossing", 75, _crossing("eve", "cid"), max_faces=1),
        _clip("the near one crosses the far one", "crossing", 75, _crossing("dee", "cid", (0.55, 1.0))),
        _clip("one walks past two", "crossing", 90, lambda t: Scene(
            "brick", [*three, Person("ben", _between(-80, 560, t / 3), scale=0.9)])),
        _clip("two meet and turn back", "crossing", 75, _there_and_back),
        _clip("hidden for 0.4 s", "hidden", 90, _passing("ann", 520)),
        _clip("hidden for 0.8 s", "hidden", 105, _passing("dee", 320, 190)),
        _clip("hidden, and another comes out", "hidden", 90, _passing("ann", 420, then="ben")),
        _clip("1 frame a second", "slow", 21, lambda t: Scene(
            layers=[Person("eve", 240)] if 1 <= t < 10 or t >= 12 else []), fps=1),
        _clip("a walker at 4 frames a second", "slow", 24, lambda t: Scene(
            "brick", [Person("ann", _between(-100, 580, t / 5.75))]), fps=4),
        _clip("a slide show", "slow", 48, _slides, fps=3),
        _clip("on the head", "tilted", 45, lambda t: Scene(layers=[
            Person("eve", 240 + _still(t), tilt_deg=180, scale=1.0)])),
        _clip("lies down", "tilted", 45, lambda t: Scene(
            "brick", [Person("cid", 240 + _still(t), tilt_deg=100)])),
        _clip("turns once around", "tilted", 120, lambda t: Scene(layers=[
            Person("ann", 240, scale=0.9, tilt_deg=90 * t)])),
    ]  # fmt: skip
