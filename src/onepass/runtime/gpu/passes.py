"""The passes of a model on one GPU: one per set of input shapes and lane."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import InputError
from onepass.engine.plan import Edge
from onepass.outputs import Array
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.stream import Stream
from onepass.runtime.gpu.compute_queue import ComputeQueue, Lane
from onepass.runtime.gpu.passing import Feed, Passing
from onepass.tensors import Signature


class Passes(ABC):
    """An open model on a GPU: finds or creates the pass for the inputs of a call.

    Attributes:
        device: The GPU.
        import_stream: The stream that waits for arrays on the GPU.
        limit: Maximum number of passes that compute concurrently. This and the following attributes are set when the
            first queue is created.
        signature: The model's inputs and outputs.
        inputs: Its inputs, as they are in memory.
        values: Names of the inputs that are on the host, because their values determine shapes.
    """

    signature: Signature
    inputs: Sequence[Edge]
    values: Sequence[str] = ()

    def __init__(self, device: Device, *, limit: int) -> None:
        """Start without passes."""
        self.device = device
        self.limit = limit
        self.import_stream = Stream(device)

    @property
    def scratch_bytes(self) -> int | None:
        """GPU memory that one computation needs, if known."""
        return None

    @abstractmethod
    def new_queue(self) -> ComputeQueue[Passing]:
        """Create a queue and what computes in it."""

    @abstractmethod
    def new_pass(self, lane: Lane[Passing], feeds: Mapping[str, Feed]) -> Passing:
        """Set up a pass for these input shapes; the GPU must be current.

        Raises:
            InputError: The model does not support these shapes.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the model; its queues must be closed."""

    def of(self, lane: Lane[Passing], feeds: Mapping[str, Feed]) -> Passing:
        """Return a lane's pass for these input shapes, setting it up on first use."""
        key: tuple[Any, ...] = tuple([feed.shape for feed in feeds.values()])
        if self.values:
            key += tuple(on_host(feeds, name).tobytes() for name in self.values)
        if key == lane.last_key and lane.last is not None:
            return lane.last
        found = lane.ready(key)
        if found is None:
            found = self.new_pass(lane, feeds)
            lane.keep(key, found)
        return found


def on_host(feeds: Mapping[str, Feed], name: str) -> Array:
    """Return an input that must be on the host.

    Raises:
        InputError: The input is on a GPU.
    """
    feed = feeds[name]
    if isinstance(feed, DeviceArray):
        raise InputError(f"input {name!r}: its values determine shapes, so it must be on the host; pass a NumPy array")
    return feed
