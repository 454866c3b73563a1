"""How fast are these models on this machine? Measured in turn in one process, as ratios with their intervals.

Example::

    from onepass.bench import bench

    result = bench(["elg.onnx", "elg.engine"], batches=(1, 8, 64))
    for row in result.rows:
        print(row.model, row.batch, row.latency.median, row.ratio)
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.bench._bench import Benchmark as Benchmark
    from onepass.bench._bench import Row as Row
    from onepass.bench._bench import bench as bench
    from onepass.bench._opening import Opening as Opening
    from onepass.bench._statistics import Latency as Latency
    from onepass.bench._statistics import Ratio as Ratio
    from onepass.bench.layers import LayerTimes as LayerTimes
    from onepass.bench.layers import measure_layers as measure_layers
    from onepass.bench.layers_picture import layers_png as layers_png
    from onepass.bench.layers_report import layers_drawing as layers_drawing
    from onepass.bench.layers_report import layers_page as layers_page
    from onepass.bench.png import benchmark_png as benchmark_png
    from onepass.bench.report import benchmark_drawing as benchmark_drawing
    from onepass.bench.report import benchmark_page as benchmark_page

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.bench._bench": "Benchmark Row bench",
        "onepass.bench._opening": "Opening",
        "onepass.bench._statistics": "Latency Ratio",
        "onepass.bench.layers": "LayerTimes measure_layers",
        "onepass.bench.layers_picture": "layers_png",
        "onepass.bench.layers_report": "layers_drawing layers_page",
        "onepass.bench.png": "benchmark_png",
        "onepass.bench.report": "benchmark_drawing benchmark_page",
    },
)
