"""One open page: its source, recording and calibration. It works on messages, independent of the network."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from onepass._errors import InputError, OnepassError
from onepass.gaze.estimator import GazeEstimator
from onepass.gaze.page.blinks import BlinkCounter
from onepass.gaze.page.camera import BrowserCamera
from onepass.gaze.page.commands import choice_of
from onepass.gaze.page.dropped import open_dropped, picture_for_page, place_in
from onepass.gaze.page.learning import Learning
from onepass.gaze.page.messages import result_message, size_of
from onepass.gaze.page.recording import Recording
from onepass.gaze.page.run import Run
from onepass.gaze.result import Side
from onepass.gaze.screen.calibration import Calibration
from onepass.gaze.stream import StreamResult, with_eye
from onepass.gaze.video.smoothing import Smoothing
from onepass.gaze.video.tracker import DETECT_EVERY, GazeTracker
from onepass.media import Source

_SMOOTHING = Smoothing()
_EYES: tuple[Side | None, ...] = (None, "left", "right")


@dataclass(frozen=True, slots=True)
class PageOptions:
    """Options for tracking in a page's sessions, as in ``onepass gaze``.

    Attributes:
        eye: Initially use only this eye of each face; None for both.
        max_faces: Maximum number of faces to track; None for all.
        every: Search for new faces in every n-th frame.
        smoothing: Strength of the smoothing; None for none.
        calibration: Initial calibration.
    """

    eye: Side | None = None
    max_faces: int | None = None
    every: int = DETECT_EVERY
    smoothing: Smoothing | None = _SMOOTHING
    calibration: Calibration | None = None


class Tell(Protocol):
    """Send a message to the page, and wait until it is sent."""

    def __call__(self, message: Mapping[str, Any], /, picture: bytes | None = None) -> None:
        """Send the message, after its picture file, if any."""
        ...


class PageSession:
    """The state of one page. Commands and frames may arrive from any thread; answers come from several threads."""

    def __init__(self, estimator: GazeEstimator, options: PageOptions, folder: Path, tell: Tell) -> None:
        """Start without a source.

        Args:
            estimator: Finds and reads faces, without a calibration; sessions may share one.
            options: Options for tracking.
            folder: An empty folder for dropped files and recordings; its owner removes it.
            tell: Sends answers to the page.

        Raises:
            InputError: The calibration needs head poses, which the finder does not provide.
        """
        self._estimator, self._options, self._folder, self._tell = estimator, options, folder, tell
        self._eye = options.eye
        self._learning = Learning(estimator.finder, options.calibration)
        self._recording: Recording | None = None
        self._recordings = 0
        self._blinks = BlinkCounter()
        self._camera: BrowserCamera | None = None
        self._run: Run | None = None
        # Serializes requests: commands and files arrive through different channels.
        self._turn = threading.Lock()
        # Guards the state that commands and results share; not held while sending to the page.
        self._lock = threading.Lock()
        self._commands: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "camera": self._start_camera,
            "file": self._start_file,
            "shown": self._note_shown,
            "stop": self._stop_by_command,
            "eye": self._choose_eye,
            "record": self._record,
            "calibrate": self._calibrate,
            "calibration": self._take_calibration,
        }

    def do(self, command: Mapping[str, Any]) -> None:
        """Execute a command, a message with a ``type``; the page gets a message about errors."""
        with self._turn:
            self._do(command)

    def _do(self, command: Mapping[str, Any]) -> None:
        kind = command.get("type")
        try:
            if not isinstance(kind, str) or kind not in self._commands:
                raise InputError(f"unknown command {kind!r}; expected one of {', '.join(self._commands)}")
            self._commands[kind](command)
        except OnepassError as error:
            self._tell_problem(error, of=kind)

    def take_frame(self, message: bytes) -> None:
        """Accept a camera frame: `onepass.gaze.page.camera.HEADER` and a picture file. Never blocks.

        Raises:
            InputError: The message is not a frame.
        """
        camera = self._camera
        if camera is not None:  # else the frame was in flight when the camera was stopped
            camera.put(message)

    def place_for(self, name: str) -> Path:
        """Stop, and return the path for a file dropped on the page; an earlier file is removed.

        Raises:
            InputError: The file name is invalid.
        """
        with self._turn:
            self.stop()
            return place_in(self._folder, name)

    def stop(self) -> None:
        """Stop the current source. A recording continues with the next one."""
        run, self._run, self._camera = self._run, None, None
        if run is not None:
            run.stop()

    def close(self) -> None:
        """Stop, and finish the recording. Closing twice is allowed."""
        self.stop()
        self._end_recording()

    def _start_camera(self, _: Mapping[str, Any]) -> None:
        self.stop()
        self._camera = BrowserCamera()
        self._tell({"type": "started"})
        self._start(self._camera)

    def _start_file(self, _: Mapping[str, Any]) -> None:
        self.stop()
        source = open_dropped(self._folder)
        try:
            self._begin_recording()
        except OnepassError:
            source.close()
            raise
        self._tell({"type": "opened", "frames": source.frame_count, "sequence": source.sequence})
        self._start(source)

    def _start(self, source: Source) -> None:
        with self._lock:
            self._blinks = BlinkCounter()
            self._learning.stop()
        options = self._options
        tracker = GazeTracker(
            self._estimator, every=options.every, max_faces=options.max_faces, smoothing=options.smoothing
        )
        stream = partial(tracker.stream, newest=source.live) if source.sequence else self._estimator.stream
        self._run = Run(source, stream, partial(self._take, with_picture=not source.live), self._end)

    def _note_shown(self, _: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._run.shown()

    def _stop_by_command(self, _: Mapping[str, Any]) -> None:
        self.stop()
        self._tell({"type": "stopped"})

    def _choose_eye(self, command: Mapping[str, Any]) -> None:
        eye = choice_of(command, "eye", _EYES)
        with self._lock:
            if eye is not None and self._learning.calibration is not None:
                raise InputError("a calibration needs both eyes; forget the calibration first, or select both eyes")
            self._eye = eye

    def _record(self, command: Mapping[str, Any]) -> None:
        if choice_of(command, "on", (True, False)):
            self._begin_recording()
        else:
            self._end_recording()

    def _begin_recording(self) -> None:
        self._end_recording()
        recording = Recording(self._folder, self._recordings)
        with self._lock:
            self._recording, self._recordings = recording, self._recordings + 1
        self._tell({"type": "recording"})

    def _end_recording(self) -> None:
        with self._lock:
            recording, self._recording = self._recording, None
        if recording is None:
            return
        try:
            self._tell({"type": "recorded", **recording.close()})
        except OnepassError as error:
            self._tell_problem(error, of="record")

    def _calibrate(self, command: Mapping[str, Any]) -> None:
        with self._lock:
            if self._eye is not None:
                raise InputError("a calibration needs both eyes; select both eyes")
            if choice_of(command, "on", (True, False)):
                self._learning.begin(command)
            else:
                self._learning.stop()

    def _take_calibration(self, command: Mapping[str, Any]) -> None:
        content = command.get("calibration")
        calibration = None if content is None else Calibration.from_json(content)
        with self._lock:
            if calibration is not None and self._eye is not None:
                raise InputError("a calibration needs both eyes; select both eyes")
            self._learning.use(calibration)
        self._tell_calibration(calibration)

    def _tell_calibration(self, calibration: Calibration | None) -> None:
        self._tell({"type": "calibration", "calibration": None if calibration is None else calibration.to_json()})

    def _tell_problem(self, error: OnepassError, *, of: str | None) -> None:
        self._tell({"type": "problem", "of": of, "text": self._without_places(str(error))})

    def _take(self, result: StreamResult, *, with_picture: bool) -> None:
        """Process a result: gaze on the screen, blinks, recording; then send it to the page."""
        frame = result.frame
        problems: list[tuple[str, OnepassError]] = []
        with self._lock:
            learned = self._learning.calibration
            try:
                faces = self._learning.on_screen(result.faces, size_of(frame))
                step = self._learning.take(frame, faces)
            except InputError as error:
                problems.append(("calibrate", error))
                faces, step = result.faces, None
            result = replace(result, faces=faces if self._eye is None else with_eye(faces, self._eye))
            started = self._blinks.take(result.faces)
            recording = self._recording
            if recording is not None:
                try:
                    recording.write(result, started)
                except OnepassError as error:
                    problems.append(("record", error))
            message = result_message(result, self._blinks, step, recording)
            now_learned = self._learning.calibration
        self._tell(message, picture_for_page(frame.picture) if with_picture else None)
        if now_learned is not learned:
            self._tell_calibration(now_learned)
        for of, problem in problems:
            self._tell_problem(problem, of=of)
        if recording is not None and (recording.is_full or any(of == "record" for of, _ in problems)):
            self._end_recording()

    def _end(self, source: Source, frames: int, error: OnepassError | None) -> None:
        """Report that a source has ended by itself, and finish a file's recording."""
        if not source.live:
            self._end_recording()
        text = None if error is None else self._without_places(str(error))
        notes = [self._without_places(note) for note in source.notes]
        self._tell({"type": "ended", "frames": frames, "notes": notes, "text": text})

    def _without_places(self, text: str) -> str:
        """Return a message with file names instead of paths on this machine."""
        alone = text.replace(f" (in {Path.cwd()})", "")
        return re.sub(rf"{re.escape(str(self._folder))}[/\\](?:\w+[/\\])?", "", alone)
