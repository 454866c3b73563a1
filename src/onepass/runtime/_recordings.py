"""What a pass has recorded: work that one launch repeats, in place of queueing it anew in every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onepass._errors import BackendError
from onepass.runtime._cuda import Graph, Stream

_GRAPHS = 16
"""How many recordings are kept; there is one for each slot and each choice of outputs."""

Work = Callable[[Stream], None]


class Recordings:
    """Does work on a stream, recorded after the first time where that is possible.

    Attributes:
        eager_because: Why each call queues its work anew; None where it is recorded.
    """

    def __init__(self, stream: Stream, *, obstacle: str | None) -> None:
        """Begin without recordings.

        Args:
            stream: Where the work is done.
            obstacle: What stands against recording, if anything is known to.
        """
        self._stream = stream
        self._graphs: dict[Any, Graph] = {}
        self._is_warm = False
        self.eager_because = obstacle

    @property
    def any(self) -> bool:
        """Whether anything is recorded."""
        return bool(self._graphs)

    def clear(self) -> None:
        """Drop all: they are void once anything changes in the context that they were made with."""
        for graph in self._graphs.values():
            graph.close()
        self._graphs.clear()
        # TensorRT finishes setting shapes up in the first pass, which therefore cannot be the recorded one.
        self._is_warm = False

    def prepared(self, key: Any, work: Work, is_recordable: Callable[[], bool]) -> Graph | None:
        """Return the recording of some work, made if need be; None where it is to be queued anew.

        Args:
            key: What the work is known by.
            work: Queues it.
            is_recordable: Asks TensorRT whether it can be recorded.
        """
        graph = self._graphs.get(key)
        if graph is None and self._is_warm and self.eager_because is None:
            graph = self._record(key, work, is_recordable)
        return graph

    def start(self, graph: Graph | None, work: Work) -> None:
        """Do work on the stream: by its recording, if there is one."""
        if graph is not None:
            graph.launch()
        else:
            work(self._stream)
            self._is_warm = True

    def _record(self, key: Any, work: Work, is_recordable: Callable[[], bool]) -> Graph | None:
        if not is_recordable():
            self.eager_because = "TensorRT says that this engine cannot be recorded for these shapes"
            return None
        try:
            graph = self._stream.record(lambda: work(self._stream))
        except BackendError as error:
            self.eager_because = f"it cannot be recorded: {error}"
            return None
        if len(self._graphs) >= _GRAPHS:
            self._graphs.pop(next(iter(self._graphs))).close()
        self._graphs[key] = graph
        return graph
