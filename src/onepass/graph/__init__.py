"""ONNX graphs, looked at and changed without running them; the one room for the mechanics of it.

`OnnxGraph` is what others take; the rest is what it, and the rooms above, are made of. What a graph says is read in
`edges` (inputs and outputs), `nodes` (names, and what reaches what), `values` (constants, types, shapes), `arrays` and
`weights` (numbers, and where they lie); `casts` makes the nodes that are put in most. What changes a graph is a pass,
a module each: `sort`, `select`, `extract`, `rename`, `share`, `batch_norm`, `prelu`, `optimize`, `splice`, and
`expose` in `edges`. A pass says what it requires and what it ensures. As with the passes of onnx/ir-py there are two
kinds: those on a protobuf message change it in place, or return a new one; those on an `OnnxGraph` leave it as it is.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.graph.edges import kind_of as kind_of
    from onepass.graph.edges import spec_of as spec_of
    from onepass.graph.model import OnnxGraph as OnnxGraph

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.graph.edges": "kind_of spec_of",
        "onepass.graph.model": "OnnxGraph",
    },
)
