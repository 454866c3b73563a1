"""From an ONNX graph to a TensorRT engine."""

from onepass.engine.flavor import Flavor, find_flavor, find_flavors
from onepass.engine.plan import Edge, Plan, read_sidecar, sidecar_path
from onepass.engine.shapes import Profile, ShapeRange

__all__ = [
    "Edge",
    "Flavor",
    "Plan",
    "Profile",
    "ShapeRange",
    "find_flavor",
    "find_flavors",
    "read_sidecar",
    "sidecar_path",
]
