"""The passes of a model on one GPU: one a shape of inputs and lane."""

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
    """A model that is open on a GPU: finds the pass for the inputs of a call, or makes it.

    Attributes:
        device: The GPU.
        import_stream: Where arrays on it are waited for.
        limit: How many passes may compute side by side. It and what follows is known once a queue is made.
        signature: The model's inputs and outputs.
        inputs: Its inputs, as they lie in memory.
        values: Names of the inputs that lie on the host, since their values decide shapes.
    """

    signature: Signature
    inputs: Sequence[Edge]
    values: Sequence[str] = ()

    def __init__(self, device: Device, *, limit: int) -> None:
        """Begin without passes."""
        self.device = device
        self.limit = limit
        self.import_stream = Stream(device)

    @property
    def scratch_bytes(self) -> int | None:
        """How much of the GPU's memory one computation needs, if that is known."""
        return None

    @abstractmethod
    def new_queue(self) -> ComputeQueue[Passing]:
        """Make a queue, with what computes in it."""

    @abstractmethod
    def new_pass(self, lane: Lane[Passing], feeds: Mapping[str, Feed]) -> Passing:
        """Set up a pass for inputs of these shapes; the GPU is current.

        Raises:
            InputError: The model does not run with these shapes.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the model; its queues are closed."""

    def of(self, lane: Lane[Passing], feeds: Mapping[str, Feed]) -> Passing:
        """Return the pass for inputs of these shapes in a lane, set up if it is the first of its kind."""
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
    """Return an input that has to be on the host.

    Raises:
        InputError: It is on a GPU.
    """
    feed = feeds[name]
    if isinstance(feed, DeviceArray):
        raise InputError(f"input {name!r}: its values decide shapes, so it is taken on the host; give an array there")
    return feed
