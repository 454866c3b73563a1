"""Recorded work of a GPU, whose copies may be given other places."""

from __future__ import annotations

from typing import Any

from onepass._errors import BackendError
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.driver import checked


class Graph:
    """Recorded work that `Stream.launch` queues again, on any stream of its GPU.

    Attributes:
        device: The GPU.
        handle: The driver's.
    """

    def __init__(self, device: Device, graph: Any) -> None:
        """Make what was captured ready to launch."""
        driver = device.driver
        self.device = device
        self._graph = graph
        self._finalizers = [device.freed_with(self, driver.cuGraphDestroy, graph)]
        self.handle = device.call(driver.cuGraphInstantiate, graph, 0)
        self._finalizers.append(device.freed_with(self, driver.cuGraphExecDestroy, self.handle))

    def copies_to(self, address: int, size_bytes: int) -> list[GraphCopy]:
        """Return the copies that it makes into a stretch of the host's memory."""
        copies = [GraphCopy(self, node) for node, kind in self._nodes() if kind == "MEMCPY"]
        return [copy for copy in copies if 0 <= copy.target - address < size_bytes]

    def check_stays_on_gpu(self) -> None:
        """Check that the work needs nothing of the host, whose memory may be another's by the next launch.

        Raises:
            BackendError: It does; the message says what for.
        """
        for node, kind in self._nodes():
            if kind == "HOST":
                raise BackendError("it calls back to the host while it computes")
            if kind == "MEMCPY" and GraphCopy(self, node).touches_host():
                raise BackendError("it copies from or to the host while it computes")

    def close(self) -> None:
        """Destroy the graph; it must not be running."""
        for finalizer in self._finalizers:
            finalizer()

    def _nodes(self) -> list[tuple[Any, str]]:
        """Return its nodes, each with its kind by CUDA's name, such as ``"MEMCPY"``."""
        driver, call = self.device.driver, self.device.call
        status, _, count = driver.cuGraphGetNodes(self._graph)
        checked(driver, "cuGraphGetNodes", (status,))
        nodes = call(driver.cuGraphGetNodes, self._graph, count) if count else []
        return [
            (node, call(driver.cuGraphNodeGetType, node).name.removeprefix("CU_GRAPH_NODE_TYPE_")) for node in nodes
        ]


class GraphCopy:
    """A copy in a graph, whose target may be changed for launches to come.

    Attributes:
        target: The address that it copies to.
    """

    def __init__(self, graph: Graph, node: Any) -> None:
        """Look a node up that copies."""
        self._graph = graph
        self._node = node
        self._params = params = graph.device.call(graph.device.driver.cuGraphMemcpyNodeGetParams, node)
        # The driver may call page-locked memory by its address on the host, or by that which the GPU has for it.
        on_host = params.dstMemoryType == graph.device.driver.CUmemorytype.CU_MEMORYTYPE_HOST
        self._field = "dstHost" if on_host else "dstDevice"
        self.target = int(getattr(params, self._field))

    def touches_host(self) -> bool:
        """Whether it copies from or to memory of the host."""
        params = self._params
        return self._is_host(params.srcMemoryType, params.srcDevice) or self._is_host(
            params.dstMemoryType, params.dstDevice
        )

    def aim(self, address: int) -> None:
        """Copy to another address from the next launch on."""
        graph = self._graph
        setattr(self._params, self._field, address)
        graph.device.set_copy(graph.handle, self._node, self._params)
        self.target = address

    def _is_host(self, kind: Any, address: Any) -> bool:
        driver = self._graph.device.driver
        kinds = driver.CUmemorytype
        if kind != kinds.CU_MEMORYTYPE_UNIFIED:
            return bool(kind == kinds.CU_MEMORYTYPE_HOST)
        wanted = driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_MEMORY_TYPE
        status, found = driver.cuPointerGetAttribute(wanted, int(address))
        # Ordinary memory of the host is unknown to CUDA.
        return bool(status) or int(found) != int(kinds.CU_MEMORYTYPE_DEVICE)
