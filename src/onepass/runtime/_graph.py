"""Recorded work of a GPU, whose copies may be given other places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onepass.runtime._driver import checked

if TYPE_CHECKING:
    from onepass.runtime._cuda import Device


class Graph:
    """Recorded work that `Stream.launch` queues again, on any stream of its GPU.

    Attributes:
        device: The GPU.
        driver: CUDA's.
        handle: The driver's.
    """

    def __init__(self, device: Device, driver: Any, graph: Any) -> None:
        """Make what was captured ready to launch."""
        self.device = device
        self.driver = driver
        self._graph = graph
        self._finalizers = [device.freed_with(self, driver.cuGraphDestroy, graph)]
        self.handle = device.call(driver.cuGraphInstantiate, graph, 0)
        self._finalizers.append(device.freed_with(self, driver.cuGraphExecDestroy, self.handle))

    def copies_to(self, address: int, size_bytes: int) -> list[GraphCopy]:
        """Return the copies that it makes into a stretch of the host's memory."""
        driver, call = self.driver, self.device.call
        _, _, count = driver.cuGraphGetNodes(self._graph)
        status, nodes, _ = driver.cuGraphGetNodes(self._graph, count)
        checked(driver, "cuGraphGetNodes", (status, None))
        kind = driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_MEMCPY
        copies = [GraphCopy(self, node) for node in nodes if call(driver.cuGraphNodeGetType, node) == kind]
        return [copy for copy in copies if 0 <= copy.target - address < size_bytes]

    def close(self) -> None:
        """Destroy the graph; it must not be running."""
        for finalizer in self._finalizers:
            finalizer()


class GraphCopy:
    """A copy in a graph, whose target may be changed for launches to come.

    Attributes:
        target: The address that it copies to.
    """

    def __init__(self, graph: Graph, node: Any) -> None:
        """Look a node up that copies."""
        self._graph = graph
        self._node = node
        self._params = params = graph.device.call(graph.driver.cuGraphMemcpyNodeGetParams, node)
        # The driver may call page-locked memory by its address on the host, or by that which the GPU has for it.
        on_host = params.dstMemoryType == graph.driver.CUmemorytype.CU_MEMORYTYPE_HOST
        self._field = "dstHost" if on_host else "dstDevice"
        self.target = int(getattr(params, self._field))

    def aim(self, address: int) -> None:
        """Copy to another address from the next launch on."""
        graph = self._graph
        setattr(self._params, self._field, address)
        graph.device.set_copy(graph.handle, self._node, self._params)
        self.target = address
