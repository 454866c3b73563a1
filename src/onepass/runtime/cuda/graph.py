"""Recorded GPU work (CUDA graphs), in which the targets of copies can be changed."""

from __future__ import annotations

from typing import Any

from onepass._errors import BackendError
from onepass.runtime.cuda.device import Device
from onepass.runtime.cuda.driver import checked


class Graph:
    """Recorded work that `Stream.launch` can queue again and again, on any stream of its GPU.

    Attributes:
        device: The GPU.
        handle: The driver's handle of the executable graph.
    """

    def __init__(self, device: Device, graph: Any) -> None:
        """Prepare a captured graph for launching."""
        driver = device.driver
        self.device = device
        self._graph = graph
        self._finalizers = [device.freed_with(self, driver.cuGraphDestroy, graph)]
        self.handle = device.call(driver.cuGraphInstantiate, graph, 0)
        self._finalizers.append(device.freed_with(self, driver.cuGraphExecDestroy, self.handle))

    def copies_to(self, address: int, size_bytes: int) -> list[GraphCopy]:
        """Return the copies with targets in a range of host memory."""
        copies = [GraphCopy(self, node) for node, kind in self._nodes() if kind == "MEMCPY"]
        return [copy for copy in copies if 0 <= copy.target - address < size_bytes]

    def check_stays_on_gpu(self) -> None:
        """Check that the work does not use the host, because host memory may be reused before the next launch.

        Raises:
            BackendError: The work uses the host; the message says for what.
        """
        for node, kind in self._nodes():
            if kind == "HOST":
                raise BackendError("it calls back to the host while it computes")
            if kind == "MEMCPY" and GraphCopy(self, node).touches_host():
                raise BackendError("it copies from or to the host while it computes")

    def close(self) -> None:
        """Destroy the graph, which must not be running."""
        for finalizer in self._finalizers:
            finalizer()

    def _nodes(self) -> list[tuple[Any, str]]:
        """Return its nodes, each with CUDA's name for its kind, for example ``"MEMCPY"``."""
        driver, call = self.device.driver, self.device.call
        status, _, count = driver.cuGraphGetNodes(self._graph)
        checked(driver, "cuGraphGetNodes", (status,))
        nodes = call(driver.cuGraphGetNodes, self._graph, count) if count else []
        return [
            (node, call(driver.cuGraphNodeGetType, node).name.removeprefix("CU_GRAPH_NODE_TYPE_")) for node in nodes
        ]


class GraphCopy:
    """A copy in a graph; its target can be changed for later launches.

    Attributes:
        target: Address of the target.
    """

    def __init__(self, graph: Graph, node: Any) -> None:
        """Read the parameters of a copy node."""
        self._graph = graph
        self._node = node
        self._params = params = graph.device.call(graph.device.driver.cuGraphMemcpyNodeGetParams, node)
        # The driver may describe page-locked memory by its address on the host or by its address on the GPU.
        on_host = params.dstMemoryType == graph.device.driver.CUmemorytype.CU_MEMORYTYPE_HOST
        self._field = "dstHost" if on_host else "dstDevice"
        self.target = int(getattr(params, self._field))

    def touches_host(self) -> bool:
        """Whether it copies from or to host memory."""
        params = self._params
        return self._is_host(params.srcMemoryType, params.srcDevice) or self._is_host(
            params.dstMemoryType, params.dstDevice
        )

    def aim(self, address: int) -> None:
        """Change the target address, starting with the next launch."""
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
        # CUDA does not know ordinary host memory.
        return bool(status) or int(found) != int(kinds.CU_MEMORYTYPE_DEVICE)
