"""How fast are these models here? Measured in turn in one process, as ratios with their spread.

Example::

    from onepass.bench import bench

    result = bench(["elg.onnx", "elg.engine"], batches=(1, 8, 64))
    for row in result.rows:
        print(row.model, row.batch, row.latency.median, row.ratio)
"""

from onepass.bench._bench import Benchmark, Row, bench
from onepass.bench._opening import Opening
from onepass.bench._statistics import Latency, Ratio

__all__ = ["Benchmark", "Latency", "Opening", "Ratio", "Row", "bench"]
