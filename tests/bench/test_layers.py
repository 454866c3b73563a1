"""Times of layers: whose they are, which outputs need them, and that calls go on as before; on stand-ins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import InputError, UnsupportedModelError
from onepass.bench import layers_drawing, layers_page, measure_layers
from onepass.bench.layers import LayerTimes
from onepass.bench.layers_report import bars_of
from onepass.engine.layers import Layer, TimedLayer, outputs_served
from tests.checker import assert_same
from tests.runtime.gpu import BUILDERS, fake_gpu, plan_of
from tests.zoo import BY_NAME, model

_BRANCHED = model(
    "(float[N, 4] x) => (float[N, 4] near, float[N, 3] far) <float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, "
    "5, 6, 7}, float[4, 3] v = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}> {"
    " a = MatMul (x, w) \n near = Relu (a) \n b = Tanh (a) \n far = MatMul (b, v) }"
)


@pytest.mark.parametrize("api", BUILDERS)
def test_layers_of_an_engine(api: str) -> None:
    """Each layer has its time, its types and the outputs that need it; calls before and after are as ever."""
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    with fake_gpu(api):
        plan = plan_of(_BRANCHED, batch=(1, 2, 4), precision="fp16")
        with onepass.load(plan) as session, onepass.load(_BRANCHED) as reference:
            before = [dict(session(x=x)) for _ in range(3)]
            result = measure_layers(session, inputs={"x": x})
            after = [dict(session(x=x)) for _ in range(3)]
            assert session.report()["passes"][0]["recorded"] is True
            for outputs in (*before, *after):
                for name, expected in reference(x=x).items():
                    np.testing.assert_allclose(outputs[name], expected, rtol=2e-3)
            del outputs, before, after
    served = {each.layer.name: each.outputs for each in result.layers if each.layer.kind != "Cast"}
    heavy = [outputs for name, outputs in served.items() if name.startswith("MatMul")]
    assert heavy == [("near", "far"), ("far",)]
    assert {"near", "far", "several"} >= set(result.by_output()) >= {"far", "several"}
    assert "fp16" in " ".join(result.by_types())
    assert sum(result.share(each) for each in result.layers) == pytest.approx(1)
    assert result.batch == 2


def test_an_engine_that_names_its_layers_only(tmp_path: Path) -> None:
    """One of trtexec's has times all the same, by name."""
    from tests.fakes.tensorrt import fake_engine

    (tmp_path / "a.engine").write_bytes(fake_engine("8.5.3", BY_NAME["three heads"].graph.to_bytes()))
    with fake_gpu("8.5.3"):
        result = measure_layers(tmp_path / "a.engine", batch=2)
    assert len(result.layers) == 3
    assert all(each.milliseconds > 0 and each.layer.types == each.outputs == () for each in result.layers)
    assert result.by_types().keys() == {"–"}
    assert result.by_output() == {}


def test_sizes_that_depend_on_data() -> None:
    """A pass that is never recorded is timed as well."""
    animal = BY_NAME["data-dependent shape"]
    with fake_gpu("10.16.1"):
        plan = plan_of(animal.graph, shapes={"x": ((1, 3), (2, 3), (4, 3))})
        with onepass.load(plan) as session:
            assert measure_layers(session, inputs=animal.cases[0]).layers
            assert_same(session(animal.cases[0]), animal.reference(animal.cases[0]))


def test_what_is_no_engine(tmp_path: Path) -> None:
    """An ONNX model's layers are not known; inputs of one's own have sizes of their own."""
    with pytest.raises(UnsupportedModelError, match="is not a TensorRT engine"):
        measure_layers(BY_NAME["three heads"].graph)
    with pytest.raises(InputError, match="omit batch=, sizes= and shapes="):
        measure_layers(BY_NAME["three heads"].graph, batch=3, inputs={})


def _times(count: int) -> LayerTimes:
    layers = tuple(
        TimedLayer(Layer(f"<{number}> & co", "Conv", ("fp16",)), float(number), ("y",)) for number in range(count)
    )
    return LayerTimes("a.engine", 1, layers, {"backend": "tensorrt", "version": "8", "device": "GPU"}, {})


def test_pictures() -> None:
    """Sixty bars at most, the rest in one; names are text, not markup; nothing is divided by a time of nought."""
    many = _times(100)
    assert len(bars_of(many)) == 61
    assert bars_of(many)[-1] == ("40 other layers", "–", float(sum(range(40))))
    for picture in (layers_drawing(many), layers_page(many), layers_page(_times(1)), layers_drawing(_times(0))):
        assert "<0>" not in picture
        assert "nan" not in picture
    assert layers_page(many).count("<tr>") == 103  # every layer, one output, two headings
    assert layers_drawing(many).startswith('<svg xmlns="http://www.w3.org/2000/svg" ')


_tensors = st.sampled_from("abcdefgh")
_layers = st.lists(
    st.builds(Layer, name=st.just("n"), kind=st.just(""), types=st.just(()),
              reads=st.lists(_tensors, max_size=3).map(tuple), makes=st.lists(_tensors, max_size=2).map(tuple)),
    max_size=8,
)  # fmt: skip


@given(layers=_layers, outputs=st.lists(_tensors, unique=True))
def test_an_output_needs_what_its_tensors_come_from(layers: list[Layer], outputs: list[str]) -> None:
    """Whatever the graph, loops included: a layer serves an output if what it makes is read on the way to it."""
    served = outputs_served(layers, {name: name.upper() for name in outputs})
    for index, layer in enumerate(layers):
        reached: set[Any] = {*layer.makes}
        while True:
            more = {made for other in layers if reached & {*other.reads} for made in other.makes} - reached
            if not more:
                break
            reached |= more
        assert set(served[index]) == {name.upper() for name in outputs if name in reached}
