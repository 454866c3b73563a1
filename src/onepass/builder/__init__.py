"""From an ONNX graph to a TensorRT engine."""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.builder._build import build as build
    from onepass.builder._build import build_with as build_with
    from onepass.builder._build import find_builder as find_builder
    from onepass.builder._build import plan_from_graph as plan_from_graph
    from onepass.builder._cache import cache_entries as cache_entries
    from onepass.builder._cache import cache_folder as cache_folder
    from onepass.builder._cache import clear_cache as clear_cache
    from onepass.builder._preview import Preview as Preview
    from onepass.builder._preview import preview as preview
    from onepass.builder._progress import Progress as Progress
    from onepass.builder._progress import Step as Step
    from onepass.builder._refit import put_weights as put_weights
    from onepass.builder._refit import refit as refit
    from onepass.builder.options import BuildOptions as BuildOptions

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.builder._build": "build build_with find_builder plan_from_graph",
        "onepass.builder._cache": "cache_entries cache_folder clear_cache",
        "onepass.builder._preview": "Preview preview",
        "onepass.builder._progress": "Progress Step",
        "onepass.builder._refit": "put_weights refit",
        "onepass.builder.options": "BuildOptions",
    },
)
