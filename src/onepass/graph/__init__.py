"""Inspect and change ONNX graphs without running them.

Users need `OnnxGraph`; it and the rooms above are built on the other modules. These read a graph: `edges` (inputs and
outputs), `nodes` (names and reachability), `values` (constants, types, shapes), `arrays` and `weights` (numbers and
where they are stored). `casts` creates the most common nodes. Each change of a graph is a pass in its own module:
`sort`, `select`, `extract`, `rename`, `share`, `batch_norm`, `prelu`, `optimize`, `splice`, and `expose` in `edges`.
Each pass documents what it requires and what it ensures. As in onnx/ir-py, there are two kinds: passes on a protobuf
message change it in place or return a new one; passes on an `OnnxGraph` leave it unchanged.
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
