"""Two models on the same inputs: the error of each output, and the first inner tensor that differs.

Example::

    from onepass.compare import compare

    comparison = compare("elg.onnx", "elg.engine", random=8, atol={"heatmaps": 1e-2})
    assert comparison.passed, comparison
"""

from typing import TYPE_CHECKING

from onepass._lazy import lazy as _lazy

if TYPE_CHECKING:
    from onepass.compare._bisect import bisect as bisect
    from onepass.compare._cases import Case as Case
    from onepass.compare._cases import edge_cases as edge_cases
    from onepass.compare._cases import folder_cases as folder_cases
    from onepass.compare._cases import random_cases as random_cases
    from onepass.compare._compare import Comparison as Comparison
    from onepass.compare._compare import compare as compare
    from onepass.compare._difference import Histogram as Histogram
    from onepass.compare._difference import OutputDifference as OutputDifference
    from onepass.compare._difference import Worst as Worst
    from onepass.compare._steps import Bisection as Bisection
    from onepass.compare._steps import Step as Step
    from onepass.compare._tolerance import Tolerance as Tolerance
    from onepass.compare._tolerance import Tolerances as Tolerances
    from onepass.compare.report import comparison_page as comparison_page

__getattr__, __dir__, __all__ = _lazy(
    __name__,
    {
        "onepass.compare._bisect": "bisect",
        "onepass.compare._cases": "Case edge_cases folder_cases random_cases",
        "onepass.compare._compare": "Comparison compare",
        "onepass.compare._difference": "Histogram OutputDifference Worst",
        "onepass.compare._steps": "Bisection Step",
        "onepass.compare._tolerance": "Tolerance Tolerances",
        "onepass.compare.report": "comparison_page",
    },
)
