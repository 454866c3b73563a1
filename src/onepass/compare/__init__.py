"""Two models on the same inputs: how far apart is each output, and which inner tensor is the first to differ?

Example::

    from onepass.compare import compare

    comparison = compare("elg.onnx", "elg.engine", random=8, atol={"heatmaps": 1e-2})
    assert comparison.passed, comparison
"""

from onepass.compare._bisect import bisect
from onepass.compare._cases import Case, edge_cases, folder_cases, random_cases
from onepass.compare._compare import Comparison, compare
from onepass.compare._difference import Histogram, OutputDifference, Worst
from onepass.compare._steps import Bisection, Step
from onepass.compare._tolerance import Tolerance, Tolerances

__all__ = [
    "Bisection",
    "Case",
    "Comparison",
    "Histogram",
    "OutputDifference",
    "Step",
    "Tolerance",
    "Tolerances",
    "Worst",
    "bisect",
    "compare",
    "edge_cases",
    "folder_cases",
    "random_cases",
]
