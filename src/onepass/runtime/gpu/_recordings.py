"""What a pass has recorded: work that one launch repeats, in place of queueing it anew in every call."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from onepass._errors import BackendError
from onepass.runtime.cuda.graph import Graph
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.gpu.slots import HostSlot

_CHOICES = 8
"""For how many places of inputs and choices of outputs whole calls are kept recorded."""
_EACH = 2
"""How many of each: whoever still has the last result gets the next in another place, then in the first again."""

Work = Callable[[Stream], None]
_Choice: TypeAlias = "tuple[int, Sequence[str]]"
_T = TypeVar("_T")


class Whole:
    """A whole call, recorded: with copies in from one place, and out to another, which may be changed.

    Attributes:
        graph: The recording.
        target: Where the outputs go.
    """

    def __init__(self, graph: Graph, target: HostSlot, *, copies: int) -> None:
        """Find what the recording copies out.

        Args:
            graph: The recording.
            target: Where the outputs go.
            copies: How many copies that takes.

        Raises:
            BackendError: They are not to be found.
        """
        self.graph = graph
        self.target = target.address
        found = graph.copies_to(target.address, target.size_bytes)
        if len(found) != copies:
            raise BackendError(f"of {copies} copies to the host, the recording shows {len(found)}")
        self._copies = [(copy, copy.target - target.address) for copy in found]

    def aim(self, target: int) -> None:
        """Let the outputs go elsewhere from the next launch on."""
        self.target = 0  # nowhere, if something fails half-way
        for copy, offset in self._copies:
            copy.aim(target + offset)
        self.target = target


class Recordings:
    """The computation, recorded, and whole calls, with copies from one place and to another.

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
        """Drop all, none of which may be running: they are void once the context was set up otherwise."""
        if self.computation is not None:
            self.computation.close()
        self.computation = None
        for choice in list(self._whole):
            self._drop(choice)
        self._last, self._of_last = (0, ()), deque()
        self.is_warm = False

    def whole(self, source: int, target: int, names: Sequence[str]) -> Graph | None:
        """Return the recording of a whole call; None if another is to be recorded.

        Args:
            source: Where the inputs lie.
            target: Where the outputs go.
            names: Which.
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
        """Record the call that `whole` was asked for last; nothing of the pass may be running. None where CUDA cannot.

        Args:
            stream: One to record on.
            work: Queues it.
            target: Where the outputs go.
            copies: How many copies that takes.
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
        """Record the computation; nothing of the pass may be running. None where that cannot be done.

        Args:
            stream: One to record on.
            work: Queues it.
            refusal: Why it cannot be recorded, if whoever computes it says so.
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
