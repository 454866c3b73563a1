"""Analyse one source in a thread, until it ends or is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

from onepass._errors import OnepassError
from onepass.gaze.stream import StreamResult
from onepass.media import Frame, Source

Stream: TypeAlias = Callable[[Iterable[Frame]], Generator[StreamResult, None, None]]

_AHEAD = 2  # results of a file in flight to the page


class Run:
    """Pass on a source's results. A file waits until the page has shown earlier results; a camera does not."""

    def __init__(
        self,
        source: Source,
        stream: Stream,
        take: Callable[[StreamResult], None],
        ended: Callable[[Source, int, OnepassError | None], None],
    ) -> None:
        """Start the thread.

        Args:
            source: The source; closed at the end.
            stream: Maps frames to results.
            take: Called with each result, in order.
            ended: Called when the source ends by itself, with the source, its number of frames, and the error, if any.
        """
        self._source, self._stream, self._take, self._ended = source, stream, take, ended
        self._stopping = threading.Event()
        self._room = threading.Semaphore(_AHEAD)
        self._thread = threading.Thread(target=self._work, name="onepass-page", daemon=True)
        self._thread.start()

    def shown(self) -> None:
        """Note that the page has shown a result, so another one may follow."""
        self._room.release()

    def stop(self) -> None:
        """Stop, and wait for the thread. Do not call it from `take` or `ended`."""
        self._stopping.set()
        self._source.stop()
        self._room.release()
        self._thread.join()

    def _work(self) -> None:
        count, error = 0, None
        try:
            with self._source, closing(self._stream(self._frames())) as results:
                for result in results:
                    if not self._source.live:
                        self._room.acquire()
                    if self._stopping.is_set():
                        return
                    self._take(result)
                    count += 1
        except OnepassError as caught:
            error = caught
        if not self._stopping.is_set():
            self._ended(self._source, count, error)

    def _frames(self) -> Iterator[Frame]:
        for frame in self._source:
            if self._stopping.is_set():
                return
            yield frame
