"""The page in a real browser: headless Chromium, with a made-up clip for its camera."""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from onepass import Session
from onepass.cli import main
from onepass.gaze import Box, Calibration, FoundFace, GazeEstimator, GazeTracker
from onepass.gaze.page import PageOptions
from onepass.media import Frame, VideoSink, write_picture
from onepass.runtime.fake import FakeBackend
from onepass.web import Listening, WebServer
from tests.chromium import chromium, needs_chromium
from tests.gaze.conftest import ELG_SIGNATURE, ideal_landmarks

from .conftest import serve
from .people import somebody, write_jpegs

pytestmark = needs_chromium

YAWS = (-15.0, 15.0)
"""Where somebody in the camera's clip looks, half a second each, in turn."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a clip for its camera."""
    pictures = [picture for yaw in YAWS for picture in [somebody(yaw, size=(640, 480))] * 15]
    clip = write_jpegs(tmp_path_factory.mktemp("camera") / "clip.mjpeg", pictures)
    flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}", "--no-first-run"]
    with chromium(flags) as started:
        yield started


@pytest.fixture(scope="module")
def server(estimator: GazeEstimator) -> Iterator[WebServer]:
    """A server of the page."""
    with serve(estimator) as started:
        yield started


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page of a server in a browser without a past; at the end nothing has gone wrong in it."""
    contexts, wrong = [], []

    def open_(server: WebServer, *, path: str = "/", camera: bool = True, script: str = "", **options: Any) -> Any:
        context = browser.new_context(permissions=["camera"] if camera else [], reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script("window.results = []; addEventListener('onepass:result', ({ detail }) => {"
                             "  results.push({ ...detail, picture: null }); }, true);" + script)  # fmt: skip
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda request: wrong.append(request.url) if is_foreign(request.url, server) else None)
        page.goto(server.address + path)
        page.wait_for_selector("#link[data-state=up]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def is_foreign(url: str, server: WebServer) -> bool:
    """Whether a request goes elsewhere than to the server."""
    return not url.startswith((server.address, "blob:", "data:"))


def until(page: Any, holds: str, arg: Any = None) -> None:
    """Wait until an expression, or a function of `arg`, is true; Playwright's own way is against the page's policy."""
    for _ in range(1200):
        if page.evaluate(holds, arg):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"{holds} does not come")


def results_of(page: Any, count: int) -> list[dict[str, Any]]:
    """Wait for results on the page and return them all."""
    until(page, f"results.length >= {count}")
    return list(page.evaluate("results"))


def downloaded(page: Any, name: str) -> str:
    """Save a file that the page offers, and return what is in it."""
    with page.expect_download() as download:
        page.get_by_role("link", name=name, exact=True).click()
    return Path(download.value.path()).read_text(encoding="utf-8")


def says(page: Any, text: str) -> None:
    """Wait until the page says something."""
    page.get_by_text(text).first.wait_for()


def is_live(page: Any) -> None:
    """Wait until the picture changes."""
    shown = "document.getElementById('picture').toDataURL()"
    until(page, f"before => {shown} !== before", page.evaluate(shown))


def test_the_camera(server: WebServer, open_page: Callable[..., Any], estimator: GazeEstimator) -> None:
    """The page shows the gaze that a tracker sees in the same pictures, and records what it shows."""
    page = open_page(server)
    page.get_by_role("button", name="Start the camera").click()
    results_of(page, 3)
    assert page.get_by_role("img", name="One person, with eyelids, irises and gaze drawn").is_visible()
    page.get_by_role("button", name="Record").click()
    says(page, "Recording")
    until(page, "results.at(-1).recorded?.seconds > 1.3")
    page.get_by_role("button", name="Stop recording").click()
    rows = list(csv.DictReader(downloaded(page, "Table as CSV").splitlines()))
    assert "fixation" in downloaded(page, "Fixations and saccades as CSV")
    page.get_by_role("button", name="Stop the camera").click()
    says(page, "See where someone looks")
    shown = {result["index"]: result["faces"][0]["gaze"]["yaw_deg"] for result in results_of(page, 1)}
    # The table has what the page was told, frame by frame.
    assert len(rows) > 10
    told = [shown[int(row["frame"])] for row in rows]
    assert [float(row["gaze_yaw_deg"]) for row in rows] == pytest.approx(told, abs=1e-4)
    # And that is what the library sees in these pictures: the browser's JPEG is not quite ours.
    for yaw in YAWS:
        tracker = GazeTracker(estimator)
        for index in range(15):
            [face] = tracker(somebody(yaw, size=(640, 480)), index / 30)
        assert min(abs(each - face.gaze.yaw_deg) for each in shown.values()) < 1


def test_a_dropped_video(
    searching: GazeEstimator, open_page: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of a video is that of `onepass gaze`, byte by byte; people have numbers and are chosen by them."""
    monkeypatch.chdir(tmp_path)
    with VideoSink("clip.mp4", fps=25) as sink:
        for index in range(6):
            picture = somebody(-12 + 4 * index, names=("ann", "ben"), size=(480, 240))
            sink.write(Frame(picture, index, index / 25, ""), picture)
    with serve(searching) as server:
        page = open_page(server)
        data = base64.b64encode(Path("clip.mp4").read_bytes()).decode()
        page.evaluate(
            """(text) => {
              const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(new File([bytes], "clip.mp4"));
              for (const type of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
            }""",
            data,
        )
        says(page, "The video has ended after 6 frames.")
        with pytest.raises(SystemExit):
            main(["gaze", "clip.mp4", "--csv", "gaze.csv", "--movements", "movements.csv", "--model", "small",
                  "--finder", "cascades"])  # fmt: skip
        assert downloaded(page, "Table as CSV") == Path("gaze.csv").read_text(encoding="utf-8")
        assert downloaded(page, "Fixations and saccades as CSV") == Path("movements.csv").read_text(encoding="utf-8")
        page.get_by_role("radio", name="Person 2").click()
        assert page.get_by_role("radio", name="Person 2").get_attribute("aria-checked") == "true"
        shown = results_of(page, 6)[-1]["faces"][1]["gaze"]["yaw_deg"]
        assert float(page.locator("#yaw").inner_text().replace("−", "-").rstrip("°")) == pytest.approx(shown, abs=0.06)
        page.close()


def test_a_video_that_is_stopped(server: WebServer, open_page: Callable[..., Any], tmp_path: Path) -> None:
    """A video goes on no faster than its time, and can be stopped; its table goes up to there."""
    with VideoSink(tmp_path / "long.mp4", fps=10) as sink:
        for index in range(100):
            sink.write(Frame(somebody(), index, index / 10, ""), somebody())
    page = open_page(server)
    page.locator("#file").set_input_files(tmp_path / "long.mp4")
    results_of(page, 4)
    page.get_by_role("button", name="Stop the video").click()
    says(page, "The video was stopped.")
    rows = list(csv.DictReader(downloaded(page, "Table as CSV").splitlines()))
    assert 8 <= len(rows) < 200  # two eyes each
    assert page.locator("#picture").is_visible()


def test_a_chosen_picture(server: WebServer, open_page: Callable[..., Any], tmp_path: Path) -> None:
    """A picture is looked at and shown; a file that is none is said to be none, and the page goes on."""
    write_picture(tmp_path / "face.png", somebody())
    (tmp_path / "notes.txt").write_text("nothing to see")
    page = open_page(server)
    page.locator("#file").set_input_files(tmp_path / "notes.txt")
    says(page, "notes.txt (14 bytes) is neither a readable picture nor a readable video")
    page.locator("#file").set_input_files(tmp_path / "face.png")
    says(page, "The picture was analysed.")
    assert len(results_of(page, 1)[0]["faces"]) == 1
    assert page.locator("#picture").is_visible()


# For the camera, made-up gaze is painted: two patches, as bright as the page's point is far to the right and down.
_PAINTED = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  const context = canvas.getContext("2d");
  setInterval(() => {
    const point = document.getElementById("screen").dataset.point ?? window.looksAt ?? "0,0";
    const [x, y] = point.split(",").map(Number);
    context.fillStyle = "#808080";
    context.fillRect(0, 0, 320, 240);
    [x / innerWidth, y / innerHeight].forEach((share, index) => {
      context.fillStyle = `rgb(${Array(3).fill(Math.round(40 + 170 * share))})`;
      context.fillRect(64 * index, 176, 64, 64);
    });
  }, 25);
  return canvas.captureStream(40);
};
"""


class Painted:
    """A finder that reads the painted gaze, and a network that sees eyes which look there."""

    def __init__(self) -> None:
        self.shares = (0.5, 0.5)
        self.session = Session(FakeBackend(ELG_SIGNATURE, self._compute))

    def __call__(self, grey: Any, /) -> list[FoundFace]:
        """Find a face, always at the same place."""
        across, down = ((float(grey[190:230, x : x + 40].mean()) - 40) / 170 for x in (12, 76))
        self.shares = across, down
        return [FoundFace.from_eye_centres(Box(100, 40, 120, 120), right=(130, 80), left=(190, 80))]

    def _compute(self, feeds: Any) -> Any:
        count = len(feeds["eye"])
        landmarks = np.repeat(ideal_landmarks()[None], count, axis=0)
        across, down = ((share - 0.5) * 0.7 * 34 for share in self.shares)
        # Right eyes come first, and in crops the nose is on the left: those of left eyes are as the picture is.
        landmarks[:, 8:17, 0] += np.where(np.arange(count) % 2, -across, across)[:, None]
        landmarks[:, 8:17, 1] += 0.6 * down
        return {
            "heatmaps": np.full((count, 18, 36, 60), 0.5, np.float32),
            "landmarks": landmarks.astype(np.float32),
            "radius": np.full((count, 1), 34, np.float32),
        }


def test_calibration(open_page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine points teach the page where somebody looks: its error is small, and the point follows the gaze."""
    monkeypatch.setattr("onepass.gaze.screen.course._SETTLING_SECONDS", 0.3)
    monkeypatch.setattr("onepass.gaze.screen.course._LOOKING_SECONDS", 0.3)
    painted = Painted()
    options = PageOptions(every=1, smoothing=None)  # so that the finder sees every frame
    with painted.session, serve(GazeEstimator(painted.session, painted), options) as server:
        page = open_page(server, script=_PAINTED, viewport={"width": 900, "height": 600})
        page.get_by_role("button", name="Start the camera").click()
        results_of(page, 2)
        page.get_by_role("button", name="Calibrate …").click()
        page.get_by_label("Screen width, mm").fill("500")
        page.get_by_label("Distance from your eyes, mm").fill("600")
        page.get_by_role("button", name="Begin").click()
        says(page, "Error:")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save the calibration").click()
        calibration = Calibration.load(download.value.path())
        assert (calibration.points, calibration.screen.width_px) == (9, page.evaluate("innerWidth"))
        assert calibration.error.pixels < 40
        assert calibration.error.degrees is not None
        for x, y in ((810, 60), (90, 540), (450, 200)):
            page.evaluate(f"looksAt = '{x},{y}'")
            until(
                page,
                """([x, y]) => {
                  const [shownX, shownY] = (document.getElementById("over").dataset.gaze ?? "").split(",").map(Number);
                  return Math.hypot(shownX - x, shownY - y) < 40;
                }""",
                [x, y],
            )
        page.get_by_label("Heat map").check()
        with page.expect_download() as download:
            page.get_by_role("button", name="Save as PNG").click()
        assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
        page.get_by_role("button", name="Close").click()
        page.get_by_label("Left", exact=True).click()
        says(page, "A calibration needs both eyes")
        page.get_by_role("button", name="Calibrate …").click()
        page.get_by_role("button", name="Forget the calibration").click()
        page.get_by_role("button", name="Gaze on the screen …").wait_for(state="hidden")
        page.get_by_label("Left", exact=True).check()
        page.close()


def test_a_calibration_that_is_left(server: WebServer, open_page: Callable[..., Any]) -> None:
    """Escape ends a calibration with a sentence, and the page can be used again."""
    page = open_page(server)
    page.get_by_role("button", name="Start the camera").click()
    results_of(page, 2)
    page.get_by_role("button", name="Calibrate …").click()
    page.get_by_role("button", name="Begin").click()
    page.locator("#screen[data-point]").wait_for()
    page.keyboard.press("Escape")
    says(page, "The calibration was cancelled before its last point.")
    assert not page.locator("#screen").is_visible()


def test_a_camera_that_is_refused_or_lost(server: WebServer, open_page: Callable[..., Any]) -> None:
    """A camera that may not be used, and one that is unplugged, are sentences; neither leaves a picture standing."""
    page = open_page(server, camera=False)
    page.get_by_role("button", name="Start the camera").click()
    says(page, "The browser has no permission to use the camera.")
    keep = (
        "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await open(wanted));"
    )
    page = open_page(server, script=keep)
    page.get_by_role("button", name="Start the camera").click()
    results_of(page, 1)
    page.evaluate("stream.getTracks()[0].dispatchEvent(new Event('ended'))")
    says(page, "The camera is gone")
    assert not page.locator("#picture").is_visible()
    page.get_by_role("button", name="Start the camera").click()
    results_of(page, 3)


def test_no_camera_without_https(server: WebServer, open_page: Callable[..., Any]) -> None:
    """Where the browser gives no cameras, the page says why, and how to get one."""
    page = open_page(server, script="Object.defineProperty(navigator, 'mediaDevices', { value: undefined });")
    page.get_by_role("button", name="Start the camera").click()
    says(page, "Browsers allow cameras only on HTTPS pages and on localhost")


def test_a_server_that_comes_back(estimator: GazeEstimator, open_page: Callable[..., Any]) -> None:
    """When the server ends the page says so, shows live pictures, and goes on once it is back; a recording is lost."""
    server = serve(estimator)
    with server:
        page = open_page(server)
        port = int(server.address.rpartition(":")[2])
        page.get_by_role("button", name="Start the camera").click()
        results_of(page, 2)
        page.get_by_role("button", name="Record").click()
        says(page, "Recording")
    says(page, "The server does not respond")
    is_live(page)
    before = page.evaluate("results.length")
    with serve(estimator, listening=Listening(port=port)):
        results_of(page, before + 2)
        assert page.get_by_text("The server does not respond").count() == 0
        says(page, "the recording is lost")
        page.close()


def test_a_broken_connection_leaves_the_recording(server: WebServer, open_page: Callable[..., Any]) -> None:
    """When only the connection breaks, what was recorded until then can be saved."""
    kept = """const Old = WebSocket;
        window.WebSocket = class extends Old { constructor(...all) { super(...all); window.socket = this; } };"""
    page = open_page(server, script=kept)
    page.get_by_role("button", name="Start the camera").click()
    page.get_by_role("button", name="Record").click()
    until(page, "results.at(-1)?.recorded?.frames > 3")
    page.evaluate("socket.close()")
    says(page, "You can save everything up to that point below.")
    assert len(list(csv.DictReader(downloaded(page, "Table as CSV").splitlines()))) > 3


def test_a_machine_that_is_busy(
    server: WebServer, open_page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While answers do not come the page says so, and what it shows is live; then it goes on."""
    page = open_page(server)
    page.get_by_role("button", name="Start the camera").click()
    results_of(page, 2)
    go_on, look = Event(), GazeTracker.__call__

    def waiting(tracker: GazeTracker, *frame: Any) -> Any:
        go_on.wait(20)
        return look(tracker, *frame)

    monkeypatch.setattr(GazeTracker, "__call__", waiting)
    says(page, "the network is slow, or the machine is busy")
    is_live(page)
    go_on.set()
    results_of(page, page.evaluate("results.length") + 3)
    until(page, "!document.getElementById('notices').textContent.includes('No answer')")


def test_two_tabs(server: WebServer, open_page: Callable[..., Any]) -> None:
    """A page that is open twice says so, in both, and no longer when the other is closed."""
    first = open_page(server)
    first.get_by_role("button", name="Start the camera").click()
    results_of(first, 1)
    second = open_page(server)
    second.get_by_role("button", name="Start the camera").click()
    results_of(second, 1)
    for page in (first, second):
        says(page, "This page is open in 2 tabs")
    second.close()
    until(first, "!document.getElementById('notices').textContent.includes('open in 2 tabs')")


def test_by_keyboard(server: WebServer, open_page: Callable[..., Any]) -> None:
    """All controls are reached by the Tab key, have a name, and the camera starts by Enter."""
    page = open_page(server)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input:not([hidden]), select, a, canvas[role], output")]
          .filter((each) => !each.getAttribute("aria-label") && !each.textContent.trim())
          .filter((each) => !each.labels?.[0]?.textContent.trim())
          .map((each) => each.outerHTML)"""
    )
    assert unnamed == []
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert reached[:3] == ["Skip to the controls", "start-first", "choose-first"]
    assert {"mirror", "drawing", "size"} <= set(reached)
    page.get_by_role("button", name="Start the camera").focus()
    page.keyboard.press("Enter")
    results_of(page, 1)
    assert page.get_by_role("button", name="Stop the camera").get_attribute("aria-pressed") == "true"


_CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = style.getPropertyValue(name);
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return PAIRS.map(([ink, ground]) => {
    const [high, low] = [light(ink), light(ground)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  });
}"""
_PAIRS = [
    ["--ink", "--ground"], ["--ink", "--card"], ["--soft", "--ground"], ["--soft", "--card"],
    ["--on-main", "--main"], ["--on-main", "--main-press"], ["--gaze", "--card"], ["--main", "--card"],
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(server: WebServer, open_page: Callable[..., Any], scheme: str) -> None:
    """From a telephone to a wide screen nothing is cut off; text stands out (WCAG: 4.5), in light and in dark."""
    page = open_page(server, color_scheme=scheme)
    contrasts = page.evaluate(_CONTRAST.replace("PAIRS", json.dumps(_PAIRS)))
    assert {
        str(pair): round(contrast, 2) for pair, contrast in zip(_PAIRS, contrasts, strict=True) if contrast < 4.5
    } == {}
    page.get_by_role("button", name="Start the camera").click()
    results_of(page, 1)
    for width in (340, 400, 768, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    grounds = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (np.mean([int(part) for part in grounds[4:-1].split(",")]) > 128) == (scheme == "light")


def test_another_token(estimator: GazeEstimator, open_page: Callable[..., Any]) -> None:
    """A server that comes back with another token is not told to be away: the page says what to open."""
    server = serve(estimator, listening=Listening(port=0, token="the-first-token"))
    port = int(server.address.rpartition(":")[2])
    with server:
        page = open_page(server, path="/?token=the-first-token")
        assert page.url == server.address + "/"
    with serve(estimator, listening=Listening(port=port, token="the-other-token")):
        says(page, "The server was restarted and requires a new token")
        page.goto(server.address + "/?token=the-other-token")
        page.wait_for_selector("#link[data-state=up]")
        page.close()
