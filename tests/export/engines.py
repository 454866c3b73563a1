"""Engines for tests, built by a stand-in of TensorRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from onepass import BuildOptions, OnnxGraph, Plan
from onepass.engine import plan_from_graph
from tests.fakes.install import installed
from tests.fakes.tensorrt import make_tensorrt
from tests.zoo import model

CAST = model("""
    (float[N, 3] x, int64[N, 3] id) => (int64[N] best, float[N, 3] x2, float[N, 3] more) {
        best = ArgMax <axis = 1, keepdims = 0> (x)
        x2 = Add (x, x)
        f = Cast <to = 1> (id)
        more = Add (x, f)
    }""")
"""Types that TensorRT 8.5 does not have at an engine's edges, beside one that it has."""


def engine(graph: OnnxGraph, path: Path, *, api: str = "10.16.1", **options: Any) -> Plan:
    """Build an engine of a model, and write it with its sidecar."""
    with installed(make_tensorrt(api)):
        return plan_from_graph(graph, BuildOptions(**options)).save(path)


def changed(plan: Plan, path: Path, **facts: Any) -> None:
    """Write an engine of which its sidecar says something else."""
    replace(plan, **facts).save(path)
