"""From an ONNX graph to a TensorRT engine."""

from onepass.engine._build import build, find_builder, plan_from_graph
from onepass.engine._cache import cache_entries, cache_folder, clear_cache
from onepass.engine._progress import Step
from onepass.engine.flavor import Flavor, find_flavor, find_flavors
from onepass.engine.options import BuildOptions
from onepass.engine.plan import Edge, Plan, read_sidecar, sidecar_path
from onepass.engine.shapes import Profile, ShapeRange

__all__ = [
    "BuildOptions",
    "Edge",
    "Flavor",
    "Plan",
    "Profile",
    "ShapeRange",
    "Step",
    "build",
    "cache_entries",
    "cache_folder",
    "clear_cache",
    "find_builder",
    "find_flavor",
    "find_flavors",
    "plan_from_graph",
    "read_sidecar",
    "sidecar_path",
]
