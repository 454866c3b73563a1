"""What a pass has recorded: work that one launch repeats, in place of queueing it anew in every call."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence

from onepass._errors import BackendError
from onepass.runtime._cuda import Graph, Stream

_GRAPHS = 16
"""How many recordings are kept besides that of the computation; there is one for each slot and choice of outputs."""

_AT_ONCE, _MISSES = 4, 256
"""How many are recorded as they come, and how many calls come between two recordings after that."""

Work = Callable[[Stream], None]


class Recordings:
    """The computation, recorded, and whole calls that come round often: with copies from one place and to another.

    Attributes:
        computation: The computation alone, or None.
        is_warm: Whether the work was queued since it was set up. TensorRT finishes that in the first pass,
            which therefore cannot be the recorded one.
        eager_because: Why each call queues its work anew; None where it is recorded.
    """

    def __init__(self, *, obstacle: str | None) -> None:
        """Begin without recordings.

        Args:
            obstacle: What stands against recording, if anything is known to.
        """
        self.computation: Graph | None = None
        self.is_warm = False
        self.eager_because = obstacle
        self._whole: OrderedDict[Hashable, Graph] = OrderedDict()
        self._misses = 0
        self._last: dict[int, tuple[int | None, Sequence[str], Graph]] = {}
        self._lately: deque[Hashable] = deque(maxlen=_GRAPHS)

    @property
    def any(self) -> bool:
        """Whether anything is recorded."""
        return self.computation is not None or bool(self._whole)

    @property
    def is_usable(self) -> bool:
        """Whether calls may be recorded."""
        return self.is_warm and self.eager_because is None

    def clear(self) -> None:
        """Drop all, none of which may be running: they are void once the context was set up otherwise."""
        if self.computation is not None:
            self.computation.close()
        for graph in self._whole.values():
            graph.close()
        self.computation = None
        self._whole.clear()
        self._last.clear()
        self.is_warm = False

    def whole(self, source: int | None, target: int, names: Sequence[str]) -> Graph | None:
        """Return the recording of a whole call, if there is one.

        Args:
            source: Where the inputs lie; None if they are on their way already.
            target: Where the outputs go.
            names: Which.
        """
        last = self._last.get(target)
        if last is not None and last[0] == source and last[1] is names:
            return last[2]
        graph = self._whole.get((source, target, names))
        if graph is not None:
            self._last[target] = source, names, graph
        return graph

    def note(self, key: Hashable) -> bool:
        """Note a whole call; say whether it was not seen lately."""
        is_new = key not in self._lately
        if is_new:
            self._lately.append(key)
        return is_new

    def comes_round(self, key: Hashable) -> bool:
        """Note a whole call that is not recorded; say whether recording it pays: whether it was seen lately.

        Recording takes as long as some calls. Beyond the first few it is done now and then only, since whoever keeps
        results calls with ever other places for them.
        """
        self._misses += 1
        if self.note(key):
            return False
        if len(self._whole) >= _AT_ONCE and self._misses < _MISSES:
            return False
        self._misses = 0
        return True

    def record_whole(self, key: Hashable, stream: Stream, work: Work) -> Graph | None:
        """Record a whole call; nothing of the pass may be running. None where CUDA cannot."""
        graph = self._recorded(stream, work)
        if graph is not None:
            if len(self._whole) >= _GRAPHS:
                self._whole.popitem(last=False)[1].close()
                self._last.clear()
            self._whole[key] = graph
        return graph

    def record_computation(self, stream: Stream, work: Work, refusal: str | None) -> Graph | None:
        """Record the computation; nothing of the pass may be running. None where that cannot be done.

        Args:
            stream: One to record on.
            work: Queues it.
            refusal: Why it cannot be recorded, if whoever computes it says so.
        """
        if refusal is None:
            self.computation = self._recorded(stream, work)
        else:
            self.eager_because = refusal
        return self.computation

    def _recorded(self, stream: Stream, work: Work) -> Graph | None:
        try:
            return stream.record(lambda: work(stream))
        except BackendError as error:
            self.eager_because = f"it cannot be recorded: {error}"
            return None
