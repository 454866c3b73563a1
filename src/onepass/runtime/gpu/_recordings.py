"""The recordings of a pass: work that a single launch repeats, instead of queueing it again in every call."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from onepass._errors import BackendError
from onepass.runtime.cuda.graph import Graph
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.gpu.slots import HostSlot

_CHOICES = 8
"""Number of combinations of input place and output selection for which complete calls are kept recorded."""
_EACH = 2
"""Recordings per combination: while a caller holds the last result, the next goes to another place, then back."""

Work = Callable[[Stream], None]
_Choice: TypeAlias = "tuple[int, Sequence[str]]"
_T = TypeVar("_T")


class Whole:
    """A recorded complete call, with copies from one place, and to another, which can be changed.

    Attributes:
        graph: The recording.
        target: Address for the outputs.
    """

    def __init__(self, graph: Graph, target: HostSlot, *, copies: int) -> None:
        """Find the output copies in the recording.

        Args:
            graph: The recording.
            target: The slot for the outputs.
            copies: Expected number of copies.

        Raises:
            BackendError: The recording has another number of copies.
        """
        self.graph = graph
        self.target = target.address
        found = graph.copies_to(target.address, target.size_bytes)
        if len(found) != copies:
            raise BackendError(f"expected {copies} copies to the host in the recording, got {len(found)}")
        self._copies = [(copy, copy.target - target.address) for copy in found]

    def aim(self, target: int) -> None:
        """Change the address for the outputs, from the next launch on."""
        self.target = 0  # invalid until all copies have been changed
        for copy, offset in self._copies:
            copy.aim(target + offset)
        self.target = target


class Recordings:
    """Recordings of the computation, and of complete calls with their copies.

    Attributes:
        computation: The computation alone, or None.
        is_warm: Whether the work has been queued since it was set up. TensorRT completes the set-up in the first pass,
            which therefore cannot be recorded.
        eager_because: Why each call queues its work again; None if it is recorded.
    """

    def __init__(self, *, obstacle: str | None) -> None:
        """Start without recordings.

        Args:
            obstacle: Why recording is impossible, if known.
        """
        self.computation: Graph | None = None
        self.is_warm = False
        self.eager_because = obstacle
        self._whole: OrderedDict[_Choice, deque[Whole]] = OrderedDict()
        self._last: _Choice = (0, ())
        self._of_last: deque[Whole] = deque()

    @property
    def any(self) -> bool:
        """Whether anything is recorded."""
        return self.computation is not None or bool(self._whole)

    @property
    def is_usable(self) -> bool:
        """Whether calls may be recorded."""
        return self.is_warm and self.eager_because is None

    def clear(self) -> None:
        """Drop all recordings, which must not be running: they are invalid once the context has changed."""
        if self.computation is not None:
            self.computation.close()
        self.computation = None
        for choice in list(self._whole):
            self._drop(choice)
        self._last, self._of_last = (0, ()), deque()
        self.is_warm = False

    def whole(self, source: int, target: int, names: Sequence[str]) -> Graph | None:
        """Return the recording of a complete call, or None if one must be recorded.

        Args:
            source: Address of the inputs.
            target: Address for the outputs.
            names: The requested outputs.
        """
        last = self._last
        if last[0] != source or last[1] is not names:
            self._last = last = source, names
            self._of_last = self._whole.get(last) or deque()
            if self._of_last:
                self._whole.move_to_end(last)
        kept = self._of_last
        for each in kept:
            if each.target == target:
                return each.graph
        if len(kept) < _EACH:
            return None
        kept.rotate()
        kept[0].aim(target)
        return kept[0].graph

    def record_whole(self, stream: Stream, work: Work, target: HostSlot, *, copies: int) -> Graph | None:
        """Record the call last passed to `whole`; the pass must not be running. Return None if CUDA cannot record it.

        Args:
            stream: The stream to record on.
            work: Queues the work.
            target: The slot for the outputs.
            copies: Number of output copies.
        """
        recorded = self._recorded(lambda: Whole(stream.record(lambda: work(stream)), target, copies=copies))
        if recorded is None:
            return None
        if self._last not in self._whole:
            if len(self._whole) >= _CHOICES:
                self._drop(next(iter(self._whole)))
            self._whole[self._last] = self._of_last
        self._of_last.append(recorded)
        return recorded.graph

    def record_computation(self, stream: Stream, work: Work, refusal: str | None) -> Graph | None:
        """Record the computation; the pass must not be running. Return None if it cannot be recorded.

        Args:
            stream: The stream to record on.
            work: Queues the work.
            refusal: Why it cannot be recorded, if the setup reports a reason.
        """
        if refusal is None:
            self.computation = self._recorded(lambda: stream.record(lambda: work(stream)))
        else:
            self.eager_because = refusal
        return self.computation

    def _recorded(self, record: Callable[[], _T]) -> _T | None:
        try:
            return record()
        except BackendError as error:
            self.eager_because = f"it cannot be recorded: {error}"
            return None

    def _drop(self, choice: _Choice) -> None:
        for each in self._whole.pop(choice):
            each.graph.close()
