"""One source on its way through the network, in a thread of its own, until it ends or is stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import TypeAlias

from onepass._errors import OnepassError
from onepass.gaze.stream import StreamResult
from onepass.media import Frame, Source

Stream: TypeAlias = Callable[[Iterable[Frame]], Generator[StreamResult, None, None]]

_AHEAD = 2  # results of a source that waits for the page, on their way to it


class Run:
    """Hands on result after result of a source. A file waits until the page has shown what came; a camera does not."""

    def __init__(
        self,
        source: Source,
        stream: Stream,
        take: Callable[[StreamResult], None],
        ended: Callable[[Source, int, OnepassError | None], None],
    ) -> None:
        """Start.

        Args:
            source: What is looked at; closed at the end.
            stream: From its frames to results.
            take: Called with each result, in order.
            ended: Called when the source ends by itself: with it, how many frames it had, and what was wrong.
        """
        self._source, self._stream, self._take, self._ended = source, stream, take, ended
        self._stopping = threading.Event()
        self._room = threading.Semaphore(_AHEAD)
        self._thread = threading.Thread(target=self._work, name="onepass-page", daemon=True)
        self._thread.start()

    def shown(self) -> None:
        """Say that the page has shown a result, and that there is room for another."""
        self._room.release()

    def stop(self) -> None:
        """End it, and wait until nothing of it works any more. Not from `take` or `ended`."""
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
