"""TensorRT engines as files, for code that runs, serves or inspects them: `Plan`, sidecars, shapes, flavours.

The names of `onepass.builder` can be imported from here, too.
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.builder import BuildOptions as BuildOptions
    from onepass.builder import Step as Step
    from onepass.builder import build as build
    from onepass.builder import cache_entries as cache_entries
    from onepass.builder import cache_folder as cache_folder
    from onepass.builder import clear_cache as clear_cache
    from onepass.builder import find_builder as find_builder
    from onepass.builder import plan_from_graph as plan_from_graph
    from onepass.builder import put_weights as put_weights
    from onepass.builder import refit as refit
    from onepass.engine.flavor import Flavor as Flavor
    from onepass.engine.flavor import find_flavor as find_flavor
    from onepass.engine.flavor import find_flavors as find_flavors
    from onepass.engine.layers import Layer as Layer
    from onepass.engine.layers import layers_of_plan as layers_of_plan
    from onepass.engine.plan import Edge as Edge
    from onepass.engine.plan import Plan as Plan
    from onepass.engine.plan import read_sidecar as read_sidecar
    from onepass.engine.shapes import Profile as Profile
    from onepass.engine.shapes import ShapeRange as ShapeRange
    from onepass.engine.sidecar import sidecar_path as sidecar_path

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.builder": "BuildOptions Step build cache_entries cache_folder clear_cache find_builder "
        "plan_from_graph put_weights refit",
        "onepass.engine.flavor": "Flavor find_flavor find_flavors",
        "onepass.engine.layers": "Layer layers_of_plan",
        "onepass.engine.plan": "Edge Plan read_sidecar",
        "onepass.engine.shapes": "Profile ShapeRange",
        "onepass.engine.sidecar": "sidecar_path",
    },
)
