"""What lies in recorded work, as far as it must not be launched again."""

from __future__ import annotations

from typing import Any

from onepass._errors import BackendError
from onepass.runtime._driver import checked, load_driver


def check_stays_on_gpu(graph: Any) -> None:
    """Check that a recorded computation needs nothing of the host, whose memory may be another's by the next launch.

    Raises:
        BackendError: It does; the message says what for.
    """
    driver = load_driver()
    _, count = _called(driver, "cuGraphGetNodes", graph)
    nodes, _ = _called(driver, "cuGraphGetNodes", graph, count) if count else ((), 0)
    for node in nodes:
        kind = _called(driver, "cuGraphNodeGetType", node).name.removeprefix("CU_GRAPH_NODE_TYPE_")
        if kind == "HOST":
            raise BackendError("it calls back to the host while it computes")
        if kind == "MEMCPY" and _touches_host(driver, _called(driver, "cuGraphMemcpyNodeGetParams", node)):
            raise BackendError("it copies from or to the host while it computes")


def _touches_host(driver: Any, copy: Any) -> bool:
    kinds = driver.CUmemorytype
    ends = ((copy.srcMemoryType, copy.srcDevice), (copy.dstMemoryType, copy.dstDevice))
    return any(
        kind == kinds.CU_MEMORYTYPE_HOST or (kind == kinds.CU_MEMORYTYPE_UNIFIED and _is_on_host(driver, int(address)))
        for kind, address in ends
    )


def _is_on_host(driver: Any, address: int) -> bool:
    wanted = driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_MEMORY_TYPE
    status, kind = driver.cuPointerGetAttribute(wanted, address)
    # Ordinary memory of the host is unknown to CUDA.
    return bool(status) or int(kind) != int(driver.CUmemorytype.CU_MEMORYTYPE_DEVICE)


def _called(driver: Any, name: str, *arguments: Any) -> Any:
    result = getattr(driver, name)(*arguments)
    if len(result) > 2:
        status, *values = result
        checked(driver, name, (status,))
        return values
    return checked(driver, name, result)
