"""One run of ``onepass gaze``: from a source to all requested outputs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from onepass._printable import counted, printable
from onepass.cli._faces import about_face
from onepass.cli._tables import console, escape
from onepass.gaze import MovementTable, StreamResult, Table, draw_faces
from onepass.media import Frame, Sink, Source, Window

_ENDINGS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_OFFER = " (`onepass gaze models fetch` installs a faster and better finder)"
_BROKEN_PIPE = 13  # SIGPIPE's number: shells expect it also from systems that have no such signal


@dataclass
class Job:
    """One source, its outputs, and the summary of the run."""

    source: Source
    stream: Callable[[Iterator[Frame]], Generator[StreamResult, None, None]]
    window: Window | None = None
    sink: Sink | None = None
    tables: list[Table | MovementTable] = field(default_factory=list)
    found_by: str = ""
    offers_models: bool = False
    frames: int = 0
    frames_with_faces: int = 0
    left_out: int = 0
    seconds: float = 0.0
    last: StreamResult | None = None
    stopped_by: int = 0

    def run(self) -> None:
        """Process frames until the source ends, the window is closed, or a signal arrives."""
        start = time.perf_counter()
        with _signals(self.source.stop) as stop, self._progress() as progress:
            task = progress.add_task(escape(Path(self.source.name).name), total=self.source.frame_count, pace="")
            frames = _until(stop, self.source)
            with closing(self.stream(frames)) as results:
                for result in results:
                    try:
                        self._take(result, stop)
                    except BrokenPipeError:  # the reader of the table has left; finish the other outputs
                        stop.signal = _BROKEN_PIPE
                        break
                    self.seconds = time.perf_counter() - start
                    progress.update(task, advance=1, pace=f"{self.frames / self.seconds:.1f} frames/s")
            self.stopped_by = stop.signal

    def _take(self, result: StreamResult, stop: _Stop) -> None:
        for table in self.tables:
            table.write(result)
        if self.sink is not None or self.window is not None:
            drawn = draw_faces(result.frame.picture, result.faces)
            if self.sink is not None:
                self.sink.write(result.frame, drawn)
            if self.window is not None:
                pictures = not self.source.sequence  # a picture stays until a key is pressed
                if not self.window.show(drawn, hold=lambda: pictures and not stop.event.is_set()):
                    stop.event.set()
        before = self.last.frame.index if self.last is not None else -1
        self.left_out += result.frame.index - before - 1 if self.source.live else 0
        self.frames += 1
        self.frames_with_faces += bool(result.faces)
        self.last = result

    @property
    def _is_one_picture(self) -> bool:
        return not self.source.sequence and self.frames == 1

    def _progress(self) -> Progress:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        err = console(stderr=True)
        return Progress(
            *columns, TextColumn("{task.fields[pace]}"), console=err, transient=True, disable=not err.is_terminal
        )

    def report(self, written: Sequence[Path | None], out: Console) -> None:
        """Print a summary, notes on problems, and the paths of the outputs."""
        for note in (*self.source.notes, *(self.sink.notes if self.sink is not None else ())):
            click.echo(f"onepass: {printable(note)}", err=True)
        if self.last is None:
            return
        out.print(f"{self.source.name}: {self._summary()}", markup=False, soft_wrap=True, highlight=False)
        if self._is_one_picture:
            for number, face in enumerate(self.last.faces, 1):
                out.print(about_face(number, face), highlight=False)
        for path in written:
            if path is not None and path.exists():  # a table that was lost has its own error
                out.print(f"written to {path}", markup=False, soft_wrap=True, highlight=False)

    def _finder(self) -> str:
        """Name the face finder, and offer a better one."""
        offer = _OFFER if self.offers_models and self.found_by == "cascades" else ""
        return f"found by {self.found_by}{offer}"

    def _summary(self) -> str:
        if self.last is not None and self._is_one_picture:
            height, width = self.last.frame.picture.shape[:2]
            return f"{width} x {height} pixels, {counted(len(self.last.faces), 'face')}, {self._finder()}"
        pace = f"{counted(self.frames, 'frame')} in {self.seconds:.1f} s, {self.frames / self.seconds:.1f} per second"
        left_out = f"; {counted(self.left_out, 'frame')} dropped to stay live" if self.left_out else ""
        stopped = "; interrupted" if self.stopped_by else ""
        return f"{pace}; faces in {self.frames_with_faces}, {self._finder()}{left_out}{stopped}"


@dataclass
class _Stop:
    """Whether to stop, and the signal that requested it."""

    event: threading.Event = field(default_factory=threading.Event)
    signal: int = 0


@contextmanager
def _signals(also: Callable[[], None]) -> Iterator[_Stop]:
    """On the first Ctrl-C, SIGTERM or SIGHUP, finish the outputs and stop; on the second, stop at once.

    Signals that were ignored, as under nohup, stay ignored. `also` is called on the first signal.
    """
    stop = _Stop()
    numbers = [number for number in _ENDINGS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.getsignal(number) for number in numbers}

    def ask(number: int, _frame: object) -> None:
        stop.signal = number
        stop.event.set()
        also()
        signal.signal(number, before[signal.Signals(number)])

    for number in numbers:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until(stop: _Stop, source: Source) -> Iterator[Frame]:
    """Yield frames until it is time to stop."""
    for frame in source:
        if stop.event.is_set():
            return
        yield frame
