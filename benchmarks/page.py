"""The page of `onepass gaze page`: from a frame to its drawn result in Chromium, and the server's memory.

The server has one core, which the browser uses too. Chromium (on the PATH) uses a 640 x 480 clip with 30 frames per
second as its camera and draws on the CPU, because there is no GPU.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from playwright.sync_api import sync_playwright
from websockets.sync.client import connect

from benchmarks.report import Row
from benchmarks.swaying import LAYOUTS, swaying

_SECONDS = 20
_FRAMES = (1_000, 10_000)
_UNANSWERED = 2
_COLLECT = """window.taken = []; addEventListener("onepass:result", ({ detail }) =>
  taken.push([performance.now(), detail.delay_ms, detail.faces.length]), true);"""


def measure() -> list[Row]:
    """Return one row per figure."""
    frames = [cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes() for frame in _clip()]
    with _server() as (address, process):
        rate, delays, seen = _in_browser(address, frames)
        first, last = _memory(address, process, frames)
    p50, p95 = np.percentile(delays, [50, 95])
    return [
        {"what": "frame to drawn result, p50", "measured": f"{p50:.0f} ms", "goal": "40 ms"},
        {"what": "frame to drawn result, p95", "measured": f"{p95:.0f} ms", "goal": "80 ms"},
        {"what": "results a second, of 30 frames", "measured": f"{rate:.1f}", "goal": "25"},
        {"what": "results with the face", "measured": f"{100 * seen:.0f} %", "goal": "100 %"},
        {"what": f"memory of the server after {_FRAMES[0]:,} frames", "measured": f"{first:.0f} MB", "goal": ""},
        {"what": f"memory of the server after {_FRAMES[1]:,} frames", "measured": f"{last:.0f} MB", "goal": "the same"},
    ]


def _clip() -> Any:
    """Return a swaying person, frames [N, 480, 640, 3]."""
    portrait = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    parts, zoom = LAYOUTS[1]
    return swaying(portrait, parts, zoom)


@contextmanager
def _server() -> Iterator[tuple[str, int]]:
    """Start a server on one core, with the small network and one thread; return its address and process."""
    words = ["gaze", "page", "--port", "0", "--model", "small", "--threads", "1"]
    with subprocess.Popen([sys.executable, "-m", "onepass", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        cores = sorted(os.sched_getaffinity(0))
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores[:1])
        try:
            yield address, process.pid
        finally:
            process.terminate()


def _in_browser(address: str, frames: list[bytes]) -> tuple[float, list[float], float]:
    """Return results per second, delays in milliseconds, and the share of results with a face."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clip = Path(folder, "clip.mjpeg")
        clip.write_bytes(b"".join(frames))
        flags = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=[*flags, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )
        page = browser.new_context(permissions=["camera"], viewport={"width": 1400, "height": 900}).new_page()
        page.add_init_script(_COLLECT)
        page.goto(address)
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_timeout(3000)  # what is compiled and searched for at first
        page.evaluate("taken.length = 0")
        page.wait_for_timeout(1000 * _SECONDS)
        taken = page.evaluate("taken")
        browser.close()
    seconds = (taken[-1][0] - taken[0][0]) / 1000
    return (len(taken) - 1) / seconds, [each[1] for each in taken], float(np.mean([each[2] > 0 for each in taken]))


def _memory(address: str, process: int, frames: list[bytes]) -> list[float]:
    """Send frames like the page, but faster; return the server's memory in MB after few and after many frames."""
    sizes = []
    with connect(address.replace("http", "ws") + "session", compression=None) as socket:
        socket.recv()
        socket.send(json.dumps({"type": "camera"}))
        answered = -1
        for number in range(_FRAMES[-1]):
            while number - answered > _UNANSWERED:
                message = json.loads(socket.recv())
                answered = message.get("index", answered)
            socket.send(struct.pack("<dI", number / 30, number) + frames[number % len(frames)])
            if number + 1 in _FRAMES:
                sizes.append(_resident_mb(process))
    return sizes


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
