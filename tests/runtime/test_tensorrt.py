"""The TensorRT backend on stand-ins of TensorRT and CUDA that note every call and every broken rule."""

from __future__ import annotations

import ctypes
import gc
import json
import re
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import onepass
from onepass import (
    BackendError,
    DeviceError,
    EngineDeviceError,
    EngineMismatchError,
    EngineVersionError,
    InputError,
    MissingExtraError,
    ModelFormatError,
    UnsupportedModelError,
)
from onepass._packages import install_command
from onepass.cli import cli
from onepass.engine import Plan, sidecar_path
from onepass.runtime.cuda.arrays import DeviceArray
from onepass.runtime.cuda.graph import Graph
from onepass.runtime.tensorrt._engine import _CONTROL_FLOW
from tests.checker import assert_same, check
from tests.fakes.cuda import FakeCuda
from tests.fakes.install import installed
from tests.fakes.tensorrt import fake_engine, make_tensorrt
from tests.runtime.gpu import BUILDERS, fake_gpu, plan_for, plan_of
from tests.runtime.three import THREE, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME, ZOO, Animal, model


def _three(**options: Any) -> Plan:
    return plan_of(THREE.graph, batch=(1, 4, 64), **options)


# ---- every backend keeps the same promises -----------------------------------------------------------------------


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
@pytest.mark.parametrize("api", ["8.5.3", "10.16.1", "rtx-1.7.1"])
def test_checker(api: str, animal: Animal) -> None:
    """Oldest, newest of the old kind, and RTX: every promise on every model that has a place in an engine."""
    with fake_gpu(api, results_gone=True):
        try:
            plan = plan_for(animal)
        except onepass.OnepassError as error:
            pytest.skip(f"not for this TensorRT: {error}")
        check(lambda _: onepass.load(plan), animal)


@pytest.mark.parametrize("name", ["three heads", "outputs that are inputs", "data-dependent shape", "output int64"])
@pytest.mark.parametrize("api", ["10.0.1", "11.4.0"])
def test_checker_on_other_versions(api: str, name: str) -> None:
    """The versions in between, on the models that tell them apart."""
    with fake_gpu(api):
        plan = plan_for(BY_NAME[name])
        check(lambda _: onepass.load(plan), BY_NAME[name])


@pytest.mark.parametrize("api", ["lean-11.4.0", "dispatch-11.4.0"])
def test_runtimes_that_only_run(api: str) -> None:
    """The lean and the dispatch runtime have fewer names, and run engines that are version-compatible."""
    with fake_gpu(api):
        engine = fake_engine(api, THREE.graph.to_bytes(), [{"x": ((1, 4), (4, 4), (64, 4))}])
        with onepass.load(engine) as session:
            outputs = session(x_of(3))
            assert dict(session.report())["backend"] == f"tensorrt_{api.split('-', maxsplit=1)[0]}"
        expected = THREE.reference({"x": x_of(3)})
        assert_same(onepass.Outputs({name: outputs[name] for name in expected}), expected)


def test_engine_file_with_and_without_sidecar(tmp_path: Path) -> None:
    """With its sidecar an engine has the model's names and order; without, the engine's own, and still runs."""
    with fake_gpu("10.16.1"):
        path = tmp_path / "three.engine"
        _three().save(path)
        with onepass.load(path) as session:
            assert session.name == str(path)
            assert list(session(x=x_of(2))) == ["zebra", "ant", "monkey"]
            assert session.signature.inputs[0].shape == ("N", 4)
        sidecar_path(path).unlink()
        with onepass.load(path) as session:
            assert session.signature.inputs[0].shape == (None, 4)
            outputs = session(x=x_of(2))
        for name, expected in THREE.reference({"x": x_of(2)}).items():
            np.testing.assert_allclose(outputs[name], expected, rtol=1e-5)


# ---- what a call costs -------------------------------------------------------------------------------------------


def _calls_of(cuda: FakeCuda, trt: Any, call: Any) -> tuple[Counter[str], Counter[str]]:
    before = Counter(cuda.calls), Counter(trt.calls)
    call()
    return Counter(cuda.calls) - before[0], Counter(trt.calls) - before[1]


@pytest.mark.parametrize("api", BUILDERS)
@pytest.mark.parametrize("outputs", [1, 8, 32])
def test_a_recorded_pass_is_a_launch_and_a_wait(api: str, outputs: int) -> None:
    """Whatever the number of outputs, a call asks CUDA for two things and TensorRT for none."""
    edges = ", ".join(f"float[N] y{i}" for i in range(outputs))
    nodes = "\n".join(f"y{i} = Neg (x)" for i in range(outputs))
    with (
        fake_gpu(api) as (cuda, trt),
        onepass.load(plan_of(model(f"(float[N] x) => ({edges}) {{ {nodes} }}"), batch=(1, 2, 8))) as session,
    ):
        x = np.arange(3, dtype=np.float32)
        for _ in range(4):  # the first queues its work, then each of two slots in turn is recorded
            result = session(x=x)
        cuda_calls, trt_calls = _calls_of(cuda, trt, lambda: session(x=x))
        cuda_calls.pop("cuCtxGetCurrent")  # asks this thread, not the GPU
        assert cuda_calls == {"cuGraphLaunch": 1, "cuStreamSynchronize": 1}
        assert not trt_calls
        np.testing.assert_array_equal(result["y0"], -x)


def test_a_subset_copies_less() -> None:
    """Outputs that are not asked for are not copied from the GPU; neighbours come in one copy."""
    with fake_gpu("10.16.1") as (cuda, trt), onepass.load(_three()) as session:
        session(x=x_of(2))
        for wanted, copies in ((["ant"], 1), (["zebra", "monkey"], 2), (["zebra", "ant"], 1), (None, 1)):
            # The second call for each choice records it: one copy in, the others out.
            cuda_calls, _ = _calls_of(cuda, trt, lambda wanted=wanted: session(x=x_of(2), outputs=wanted))
            assert cuda_calls["cuMemcpyAsync"] == 1 + copies, wanted
            expected = THREE.reference({"x": x_of(2)})
            assert_same(
                session(x=x_of(2), outputs=wanted), {n: a for n, a in expected.items() if wanted is None or n in wanted}
            )


def test_nothing_is_allocated_once_it_runs() -> None:
    """After the first calls, a thousand more allocate nothing, on the GPU or page-locked."""
    with fake_gpu("10.16.1", lazy=False) as (cuda, trt), onepass.load(_three()) as session:
        for _ in range(4):
            outputs = session(x=x_of(2))

        def many() -> None:
            for _ in range(1000):
                session(x=x_of(2))

        cuda_calls, trt_calls = _calls_of(cuda, trt, many)
        assert set(cuda_calls) == {"cuCtxGetCurrent", "cuGraphLaunch", "cuStreamSynchronize"}
        assert not trt_calls
        assert len(outputs) == 3


@pytest.mark.parametrize("wanted", [None, ["monkey"], ["zebra", "monkey"]])
@pytest.mark.parametrize("unified", [True, False])
def test_a_call_whose_result_is_kept_is_a_launch_too(wanted: list[str] | None, unified: bool) -> None:
    """Whoever keeps results gets each in another place, and a recording is given that: nothing is recorded anew."""
    with fake_gpu("10.16.1", results_gone=True) as (cuda, trt), onepass.load(_three()) as session:
        cuda.unified_nodes = unified
        kept = [session(x=x_of(2, seed), outputs=wanted) for seed in range(9)]
        kept.clear()  # their memory is used again
        for seed in range(6):
            cuda_calls, trt_calls = _calls_of(
                cuda, trt, lambda seed=seed: kept.append(session(x=x_of(2, seed), outputs=wanted))
            )
        assert cuda_calls["cuGraphLaunch"] == cuda_calls["cuStreamSynchronize"] == 1
        # One that is not asked for lies between the two that are.
        assert cuda_calls["cuGraphExecMemcpyNodeSetParams"] == (2 if wanted and len(wanted) == 2 else 1)
        assert not trt_calls
        assert cuda.live["graph execs"] == 3  # the computation, and two for whoever has the last result still
        for seed, outputs in enumerate(kept):
            expected = THREE.reference({"x": x_of(2, seed)})
            assert_same(outputs, {name: expected[name] for name in wanted or expected})
        kept.clear()
        del outputs


@pytest.mark.parametrize("after", [0, 1])
def test_a_recording_that_cannot_be_given_another_place(after: int) -> None:
    """A call that fails at the first or second of two copies is an error; results of the next lie where they should."""
    wanted = ["zebra", "monkey"]
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(_three()) as session:
        kept = [session(x=x_of(2, seed), outputs=wanted) for seed in range(9)]
        kept.clear()
        cuda.fail_next("cuGraphExecMemcpyNodeSetParams", "CUDA_ERROR_INVALID_VALUE", after=after)
        with pytest.raises(BackendError, match="CUDA_ERROR_INVALID_VALUE"):
            kept += [session(x=x_of(2, seed), outputs=wanted) for seed in range(9)]
        for _ in range(2):
            for seed in range(9):
                kept.append(session(x=x_of(2, seed), outputs=wanted))
                expected = THREE.reference({"x": x_of(2, seed)})
                assert_same(kept[-1], {name: expected[name] for name in wanted})
            kept.clear()


@pytest.mark.parametrize("count", [0, 3])
def test_a_recording_that_does_not_show_its_copies(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """If CUDA shows other copies than were recorded, none is given another place, and the report says why."""
    found = [SimpleNamespace(target=0)] * count
    monkeypatch.setattr(Graph, "copies_to", lambda *_: found)
    with fake_gpu("10.16.1"), onepass.load(_three()) as session:
        for seed in range(5):
            assert_same(session(x=x_of(2, seed)), THREE.reference({"x": x_of(2, seed)}))
        assert f"in the recording, got {count}" in session.report()["passes"][0]["eager_because"]


# ---- results are the caller's ------------------------------------------------------------------------------------


def _lent(outputs: onepass.Outputs, cuda: FakeCuda) -> bool:
    """Whether results lie in page-locked memory."""
    return all(cuda.memory.around(array.ctypes.data) is not None for array in outputs.values())


@pytest.mark.parametrize("keep_bytes", [0, 1 << 12, 1 << 16, None])
def test_kept_results_stay_and_page_locked_memory_is_bounded(keep_bytes: int | None) -> None:
    """Results are lent in page-locked memory as long as there is some, and copied after that; none ever changes."""
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(_three(), keep_bytes=keep_bytes) as session:
        others = session.empty_inputs(x=(3, 4))  # which are none of it
        before = cuda.bytes_in_use("pinned")
        kept = [(session(x=x_of(3, seed)), seed) for seed in range(100)]
        lent = sum(_lent(outputs, cuda) for outputs, _ in kept)
        assert {0: lent == 0, 1 << 12: 0 < lent < 100, 1 << 16: 0 < lent < 100}.get(keep_bytes or 0, lent == 100) or (
            keep_bytes is None and lent == 100
        )
        needed = 2 * 1024  # the inputs, and what results are copied from
        if keep_bytes is not None:
            assert cuda.bytes_in_use("pinned") - before <= keep_bytes + needed
        for outputs, seed in kept:
            assert_same(outputs, THREE.reference({"x": x_of(3, seed)}))
        del kept, outputs
        before = cuda.calls["cuMemHostAlloc"]
        assert _lent(session(x=x_of(3)), cuda) == (keep_bytes != 0)
        assert cuda.calls["cuMemHostAlloc"] == before
        assert others["x"].shape == (3, 4)


def test_one_view_keeps_a_slot() -> None:
    """A slot comes back when the last array on it dies, be it a view of a view of one output."""
    with fake_gpu("10.16.1") as (_, _), onepass.load(_three()) as session:
        row = session(x=x_of(3))["zebra"][1].reshape(2, 2)
        value = row.copy()
        for seed in range(1, 20):
            session(x=x_of(3, seed))
        np.testing.assert_array_equal(row, value)


def test_results_outlive_the_session() -> None:
    """Closing frees the GPU at once; what results lie on is freed when they are."""
    with fake_gpu("10.16.1") as (cuda, trt):
        session = onepass.load(_three())
        outputs = session(x=x_of(2))
        session.close()
        gc.collect()
        assert {kind: count for kind, count in cuda.live.items() if count} == {"pinned memory": 1}
        assert not trt.live
        assert_same(outputs, THREE.reference({"x": x_of(2)}))


def test_copy_gives_memory_of_its_own() -> None:
    """With copy=True nothing that comes back is lent."""
    with fake_gpu("10.16.1"), onepass.load(_three()) as session:
        outputs = session(x=x_of(2), copy=True)
        assert all(array.flags.owndata for array in outputs.values())
        assert_same(outputs, THREE.reference({"x": x_of(2)}))


# ---- shapes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_shapes_back_and_forth(api: str) -> None:
    """Shapes in any order, more of them than are kept ready; where a profile has one context, it goes around."""
    with fake_gpu(api) as (_, trt), onepass.load(_three()) as session:
        sizes = np.random.default_rng(0).integers(1, 13, 80)
        for seed, rows in enumerate(sizes):
            assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))
        assert trt.live["IExecutionContext"] == (1 if api == "8.5.3" else 8)
        assert len(session.report()["passes"]) == 8


def test_the_nearest_profile_is_chosen() -> None:
    """Of several profiles that hold a shape, that with the nearest best shape runs it."""
    with (
        fake_gpu("10.16.1"),
        onepass.load(plan_of(THREE.graph, shapes=[{"x": (1, 1, 8)}, {"x": (1, 32, 64)}])) as session,
    ):
        for rows in (1, 30):
            assert_same(session(x=x_of(rows)), THREE.reference({"x": x_of(rows)}))
        assert [each["profile"] for each in session.report()["passes"]] == [0, 1]


@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_a_shape_outside_the_profiles(api: str) -> None:
    """A shape that the engine was not built for is refused with what came and what it was built for."""
    with fake_gpu(api), onepass.load(_three()) as session:
        with pytest.raises(InputError, match=r"x \[65, 4\], but the engine was built for x \[1…64, 4\]"):
            session(x=x_of(65))
        assert_same(session(x=x_of(64)), THREE.reference({"x": x_of(64)}))


def test_data_dependent_outputs() -> None:
    """Outputs whose size the data decide come with their true shapes; their memory grows and stays."""
    animal = BY_NAME["data-dependent shape"]
    with fake_gpu("10.16.1") as (cuda, trt), onepass.load(plan_for(animal)) as session:
        rng = np.random.default_rng(0)
        for _ in range(30):
            case = {"x": rng.standard_normal((4, 3)).astype(np.float32)}
            assert_same(session(case), animal.reference(case))
        cuda_calls, _ = _calls_of(cuda, trt, lambda: session(case))
        assert cuda_calls["cuMemAlloc"] == 0
        (report,) = session.report()["passes"]
        assert report["eager_because"] == "the size of where depends on the data"


def test_what_cannot_be_recorded_is_queued_anew() -> None:
    """An engine that CUDA cannot record runs all the same, and the report says why."""
    engine = fake_engine("10.16.1", THREE.graph.to_bytes(), capturable=False)
    with fake_gpu("10.16.1"), onepass.load(engine) as session:
        for seed in range(4):
            outputs = session(x=x_of(3, seed))
            np.testing.assert_allclose(outputs["zebra"], -x_of(3, seed))
        (report,) = session.report()["passes"]
        assert not report["recorded"]
        assert "cannot be recorded" in report["eager_because"]


@pytest.mark.parametrize("name", ["a branch that reads the outer graph", "a loop that shadows an output"])
def test_branches_and_loops_are_not_recorded(name: str) -> None:
    """A recording would take the same course for ever; the sidecar tells of it, or else the names of layers do."""
    animal = BY_NAME[name]
    with fake_gpu("8.5.3"):
        plan = plan_for(animal)
        assert plan.control_flow
        with onepass.load(plan) as session:
            for turn in range(6):
                case = animal.cases[turn % len(animal.cases)]
                assert_same(session(case), animal.reference(case))
            assert session.report()["passes"][0]["eager_because"].startswith("it has branches or loops")


def test_layers_of_branches_are_known_by_their_names() -> None:
    """So TensorRT 8.5 calls them in an engine's own description."""
    for text in ("{ForeignNode[Abs_h...If_y_OutputLayer]}", "{ForeignNode[a...(Unnamed Layer* 12) [LoopOutput]]}"):
        assert _CONTROL_FLOW.search(text)
    for text in ("conv1 + relu", "loop_head/Conv_3", "PWN(If_only)", "[Conv2D]"):
        assert not _CONTROL_FLOW.search(text)


def test_float16_tensors_of_the_model_itself() -> None:
    """A float32 build of a model with float16 tensors sets the flag that those need, and holds the rest."""
    with fake_gpu("8.5.3") as (_, trt):
        plan_for(BY_NAME["output float16"])
        assert {"FP16", "OBEY_PRECISION_CONSTRAINTS"} <= set(trt.builds[-1]["flags"])
        _three()
        assert not {"FP16", "OBEY_PRECISION_CONSTRAINTS"} & set(trt.builds[-1]["flags"])


# ---- threads -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_many_threads(api: str) -> None:
    """Sixteen threads get their own results; contexts are as many as may be, one where a profile has only one."""
    with fake_gpu(api) as (_, trt), onepass.load(_three(), contexts=3) as session:

        def work(number: int) -> None:
            for turn in range(20):
                rows = 1 + (number + turn) % 3
                seed = number * 100 + turn
                assert_same(session(x=x_of(rows, seed)), THREE.reference({"x": x_of(rows, seed)}))

        in_threads(16, work)
        contexts = session.report()["contexts"]
        assert contexts["at_most"] == (1 if api == "8.5.3" else 3)
        assert 1 <= contexts["now"] <= contexts["at_most"]
        assert trt.live["ICudaEngine"] == 1


def test_no_memory_for_another_context() -> None:
    """Where a second lane finds no memory, callers share the first."""
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(_three()) as session:
        session(x=x_of(2))
        busy, over = cuda.hold_next("cuStreamSynchronize")
        results: list[Any] = []
        first, second = (threading.Thread(target=lambda: results.append(session(x=x_of(2)))) for _ in range(2))
        first.start()
        assert busy.wait(10)
        cuda.fail_next("cuMemAlloc", "CUDA_ERROR_OUT_OF_MEMORY")
        second.start()
        second.join(0.2)
        assert second.is_alive()  # waits for the first
        over.set()
        first.join(10)
        second.join(10)
        for outputs in results:
            assert_same(outputs, THREE.reference({"x": x_of(2)}))
        assert len(results) == 2
        assert session.report()["contexts"] == {"now": 1, "at_most": 1}


def test_the_callers_context_stays() -> None:
    """A thread that has a CUDA context of its own has it after the call too."""
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(_three()) as session:
        theirs = cuda.make_context()
        assert_same(session(x=x_of(2)), THREE.reference({"x": x_of(2)}))
        _, current = cuda.cuCtxGetCurrent()
        assert int(current) == int(theirs)


# ---- arrays on the GPU -------------------------------------------------------------------------------------------


class _Foreign:
    """An array of another library in the GPU's memory, by the CUDA array interface."""

    def __init__(self, cuda: FakeCuda, array: np.ndarray[Any, Any], stream: int | None = None) -> None:
        _, pointer = cuda.cuMemAlloc(max(array.nbytes, 1))
        self.pointer = int(pointer)
        ctypes.memmove(self.pointer, array.ctypes.data, array.nbytes)
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (self.pointer, False),
            "version": 3,
            "stream": stream,
        }


def _host(array: Any) -> np.ndarray[Any, Any]:
    """Look at the memory of a fake GPU."""
    assert isinstance(array, DeviceArray)
    copy = np.empty(array.shape, array.dtype)
    ctypes.memmove(copy.ctypes.data, array.address, array.nbytes)
    return copy


@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_arrays_on_the_gpu(api: str) -> None:
    """Inputs on the GPU give outputs on the GPU: nothing crosses over, and results stay as results do."""
    with fake_gpu(api) as (cuda, trt), onepass.load(_three()) as session:
        kept = []
        for seed in range(10):
            given = _Foreign(cuda, x_of(3, seed), stream=1 if seed % 2 else None)
            kept.append(session(x=given))
            cuda.cuMemFree(given.pointer)
        for seed, outputs in enumerate(kept):
            assert list(outputs) == ["zebra", "ant", "monkey"]
            for name, expected in THREE.reference({"x": x_of(3, seed)}).items():
                np.testing.assert_allclose(_host(outputs[name]), expected, rtol=1e-5)
        again = session(x=outputs["monkey"], outputs=["monkey"])  # straight on
        np.testing.assert_array_equal(_host(again["monkey"]), _host(outputs["monkey"]))
        assert repr(again["monkey"]) == "DeviceArray(float32[3, 4] on GPU 0)"
        cuda.cuMemAlloc(1)  # a foreign block that is left over is not ours
        del kept, outputs, again
        gc.collect()
        cuda_calls, _ = _calls_of(cuda, trt, lambda: session(x=x_of(2)))
        assert cuda_calls["cuGraphLaunch"] <= 1
        for block in [b for b in cuda.memory.blocks("device") if b.size == 1]:
            cuda.cuMemFree(block.address)


def test_inputs_on_both_sides() -> None:
    """Some inputs on the GPU and some on the host go into one pass."""
    animal = BY_NAME["two inputs, one batch"]
    (case,) = animal.cases
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(plan_for(animal)) as session:
        for _ in range(3):
            given = _Foreign(cuda, case["a"])
            outputs = session(a=given, b=case["b"])
            for name, expected in animal.reference(case).items():
                np.testing.assert_allclose(_host(outputs[name]), expected)
            cuda.cuMemFree(given.pointer)


def test_data_dependent_outputs_stay_on_the_gpu() -> None:
    """An output of unknown size stays on the GPU too, in a block of its own."""
    animal = BY_NAME["data-dependent shape"]
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(plan_for(animal)) as session:
        for case in animal.cases:
            given = _Foreign(cuda, case["x"])
            outputs = session(x=given)
            for name, expected in animal.reference(case).items():
                np.testing.assert_array_equal(_host(outputs[name]), expected)
            cuda.cuMemFree(given.pointer)


def test_arrays_on_the_gpu_that_do_not_fit() -> None:
    """What is not dense, lies elsewhere, or has another dtype in the engine is refused by name."""
    with fake_gpu("8.5.3", devices=2) as (cuda, _):
        with onepass.load(_three()) as session:
            given = _Foreign(cuda, x_of(3))
            given.__cuda_array_interface__["strides"] = (32, 4)
            with pytest.raises(InputError, match="input 'x': the GPU array is not C-contiguous"):
                session(x=given)
            elsewhere = DeviceArray(given.pointer, shape=(3, 4), dtype=np.dtype("f4"), device=1, owner=given)
            with pytest.raises(InputError, match="is on GPU 1, but the model is on GPU 0"):
                session(x=elsewhere)
            wrong = DeviceArray(given.pointer, shape=(3, 4), dtype=np.dtype("f8"), device=0, owner=given)
            with pytest.raises(InputError, match=r"expected float32 \[N, 4\], got float64 \[3, 4\]"):
                session(x=wrong)
            cuda.cuMemFree(given.pointer)
        with onepass.load(plan_for(BY_NAME["output int64"])) as session:
            given = _Foreign(cuda, np.zeros((2, 3), np.float32))
            with pytest.raises(InputError, match="output 'y': the engine returns it as int32"):
                session(x=given)
            assert list(session(x=given, outputs=["x2"])) == ["x2"]
            cuda.cuMemFree(given.pointer)


def test_onnxruntime_refuses_arrays_on_a_gpu() -> None:
    """A model on the CPU says what to do with an array on a GPU."""
    with onepass.load(THREE.graph) as session, pytest.raises(InputError, match=r"but this model runs on the CPU"):
        session(x=DeviceArray(0, shape=(3, 4), dtype=np.dtype("f4"), device=0, owner=None))


# ---- inputs that need no copy ------------------------------------------------------------------------------------


def test_empty_inputs() -> None:
    """Arrays that the session hands out lie where the GPU fetches them; all else about them is as ever."""
    with fake_gpu("10.16.1") as (cuda, trt), onepass.load(_three()) as session:
        inputs = session.empty_inputs(x=(3, 4))
        backend: Any = session._backend
        for seed in range(4):
            inputs["x"][...] = x_of(3, seed)
            assert_same(session(inputs), THREE.reference({"x": x_of(3, seed)}))
            assert backend._lent.slot_of(inputs) is not None
        assert backend._lent.slot_of({"x": inputs["x"][:2]}) is None
        assert_same(session(x=inputs["x"][:2]), THREE.reference({"x": x_of(3, 3)[:2]}))
        cuda_calls, _ = _calls_of(cuda, trt, lambda: session(inputs))
        assert cuda_calls["cuGraphLaunch"] == 1
        many = [session.empty_inputs(x=(3, 4))["x"] for _ in range(10)]
        assert len({array.ctypes.data for array in many}) == 10
    assert inputs["x"].shape == (3, 4)


def test_empty_inputs_are_checked() -> None:
    """A shape that is missing, unknown or impossible is refused."""
    with onepass.load(THREE.graph) as session:
        assert session.empty_inputs(x=(2, 4))["x"].shape == (2, 4)
        for shapes, message in (
            ({}, "needs a shape"),
            ({"y": (1,)}, "no input 'y'"),
            ({"x": (2, 5)}, r"fits float32 \[N, 4\], got \[2, 5\]"),
        ):
            with pytest.raises(InputError, match=message):
                session.empty_inputs(**shapes)


# ---- dtypes that the engine holds otherwise ----------------------------------------------------------------------


def test_numbers_that_the_engine_cannot_hold() -> None:
    """An int64 that TensorRT 8.5 would cut off is refused; those that fit go through."""
    graph = model("(int64[N] x) => (int64[N] y) { y = Add (x, x) }")
    with fake_gpu("8.5.3"), onepass.load(plan_of(graph, batch=(1, 2, 4))) as session:
        assert session.signature.inputs[0].dtype == np.int64
        outputs = session(x=np.array([1, -(2**30)]))
        assert outputs["y"].dtype == np.int64
        np.testing.assert_array_equal(outputs["y"], [2, -(2**31)])
        with pytest.raises(InputError, match=r"input 'x': the engine uses int32 .* range from 0 to 4294967296"):
            session(x=np.array([0, 2**32]))


# ---- what goes wrong ---------------------------------------------------------------------------------------------


def test_no_driver_no_gpu_no_binding(tmp_path: Path) -> None:
    """Each thing that a machine may lack is one sentence."""
    path = tmp_path / "three.engine"
    with fake_gpu("10.16.1"):
        _three().save(path)
    trt = make_tensorrt("10.16.1")
    for cuda, message in (
        (FakeCuda(driver_missing=True), "no NVIDIA driver on this machine"),
        (FakeCuda(devices=0), "the NVIDIA driver finds no GPU"),
    ):
        with installed(trt, cuda=cuda), pytest.raises(DeviceError, match=message):
            onepass.load(path)
    with installed(trt), pytest.raises(MissingExtraError, match=re.escape(install_command("cuda"))):
        onepass.load(path)
    with installed(cuda=FakeCuda()), pytest.raises(MissingExtraError, match="is not installed"):
        onepass.load(path)
    with fake_gpu("10.16.1"), pytest.raises(DeviceError, match=r"device=1: this process sees 1 GPU"):
        onepass.load(path, device=1)


@pytest.mark.parametrize("api", ["8.5.3", "11.4.0", "lean-11.4.0", "dispatch-11.4.0"])
@pytest.mark.parametrize("missing", [{"driver_missing": True}, {"devices": 0}])
@pytest.mark.parametrize("device", [None, [0, 1], "all"])
def test_the_driver_is_asked_first(api: str, missing: dict[str, Any], device: Any) -> None:
    """Without a driver or a GPU nothing of TensorRT is called: the lean and dispatch runtimes crash there."""
    trt = make_tensorrt(api)
    engine = fake_engine(api, THREE.graph.to_bytes(), [{"x": ((1, 4), (4, 4), (64, 4))}])
    with installed(trt, cuda=FakeCuda(**missing)):
        for _ in range(2):
            with pytest.raises(DeviceError, match=r"no NVIDIA driver|finds no GPU"):
                onepass.load(engine, device=device)
    assert not trt.calls


def test_another_version(tmp_path: Path) -> None:
    """By the sidecar, another version is refused before the engine is read; without one, by what TensorRT logs."""
    path = tmp_path / "three.engine"
    with fake_gpu("10.0.1"):
        _three().save(path)
    with fake_gpu("10.16.1") as (_, trt):
        with pytest.raises(
            EngineVersionError, match=r"was built by tensorrt 10\.0\.1.*but tensorrt 10\.16\.1 is installed"
        ):
            onepass.load(path)
        assert not trt.calls["Runtime.deserialize_cuda_engine"]
        sidecar_path(path).unlink()
        with pytest.raises(EngineVersionError, match=r"(?s)another version of TensorRT.*Version tag does not match"):
            onepass.load(path)


def test_another_gpu(tmp_path: Path) -> None:
    """An engine for another GPU is refused, by the sidecar or by TensorRT."""
    path = tmp_path / "three.engine"
    with fake_gpu("10.16.1", capability=(8, 6)):
        # The builder asks the machine's own driver for its GPU, not the stand-in.
        replace(_three(), gpu="Other GPU", compute_capability="8.6").save(path)
    with fake_gpu("10.16.1") as (_, trt):
        with pytest.raises(EngineDeviceError, match=r"compute capability 8\.6 .* has 9\.0; build it again"):
            onepass.load(path)
        assert not trt.calls["Runtime.deserialize_cuda_engine"]
        sidecar_path(path).unlink()
        with pytest.raises(EngineDeviceError, match="built for another GPU"):
            onepass.load(path)


def test_rtx_on_a_data_centre_gpu() -> None:
    """TensorRT-RTX does not run on Hopper; that is said before anything is read."""
    with fake_gpu("rtx-1.7.1"):
        plan = _three()
    with (
        fake_gpu("rtx-1.7.1", capability=(9, 0)) as (_, trt),
        pytest.raises(DeviceError, match=r"tensorrt_rtx 1\.7\.1 supports GPUs with compute capability .* has 9\.0"),
    ):
        onepass.load(plan)
    assert not trt.calls["Runtime.deserialize_cuda_engine"]


@pytest.mark.parametrize("api", ["8.5.3", "10.16.1"])
def test_damaged_engines(api: str, tmp_path: Path) -> None:
    """A truncated engine is called damaged; one that is not its sidecar's is not given to TensorRT at all."""
    path = tmp_path / "three.engine"
    with fake_gpu(api) as (_, trt):
        data = _three().save(path).engine_bytes()
        path.write_bytes(data[:-100])
        before = trt.calls["Runtime.deserialize_cuda_engine"]
        with pytest.raises(EngineMismatchError, match="is not the engine that its sidecar describes"):
            onepass.load(path)
        assert trt.calls["Runtime.deserialize_cuda_engine"] == before
        sidecar_path(path).unlink()
        with pytest.raises(
            ModelFormatError, match=r"(?s)three\.engine: the engine is damaged, truncated.*TensorRT says"
        ):
            onepass.load(path)


def test_a_sidecar_of_another_engine(tmp_path: Path) -> None:
    """A sidecar whose tensors are not the engine's is found out."""
    with fake_gpu("10.16.1"):
        other = plan_for(BY_NAME["two inputs, one batch"])
        plan = _three()
        mixed = replace(plan, engine=other.engine, engine_sha256=other.engine_sha256)
        with pytest.raises(EngineMismatchError, match="has the inputs a, b, but its sidecar lists x"):
            onepass.load(mixed)


@pytest.mark.parametrize("api", BUILDERS)
@pytest.mark.parametrize("place", ["shape", "rank", "profile"])
def test_a_sidecar_of_other_sizes(api: str, place: str) -> None:
    """Sizes and profiles that are not the engine's own are found out when it is opened, whoever wrote them."""
    with fake_gpu(api):
        data = json.loads(json.dumps(_three().to_json()))
        plan = _three()
        onepass.load(Plan.from_json(data, plan.engine_bytes())).close()
        if place == "profile":
            data["profiles"][0]["shapes"]["x"][2][0] = 128
        else:
            data["inputs"][0]["shape"] = ["N", 5] if place == "shape" else ["N", 4, 1]
            data["profiles"][0]["shapes"]["x"] = [[*each, 1][: len(data["inputs"][0]["shape"])] for each in
                                                  data["profiles"][0]["shapes"]["x"]]  # fmt: skip
        with pytest.raises(EngineMismatchError, match=r"input 'x' .* its sidecar.*; the two files do not match"):
            onepass.load(Plan.from_json(data, plan.engine_bytes()))


def test_a_failing_pass_leaves_the_session_usable() -> None:
    """An error in one call is an exception with TensorRT's or CUDA's own word; the next call works."""
    with fake_gpu("10.16.1") as (cuda, _), onepass.load(_three()) as session:
        for _ in range(4):
            outputs = session(x=x_of(2))
        cuda.fail_next("cuGraphLaunch", "CUDA_ERROR_LAUNCH_FAILED")
        with pytest.raises(BackendError, match="CUDA_ERROR_LAUNCH_FAILED"):
            session(x=x_of(2))
        assert_same(session(x=x_of(2)), THREE.reference({"x": x_of(2)}))
        cuda.fail_next("cuMemAlloc", "CUDA_ERROR_OUT_OF_MEMORY")
        with pytest.raises(BackendError, match=r"out of memory: cuMemAlloc failed to allocate \d+ bytes"):
            session(x=x_of(7))
        assert_same(session(x=x_of(7)), THREE.reference({"x": x_of(7)}))
        assert len(outputs) == 3


def test_options_are_for_one_kind_of_model() -> None:
    """What is for engines is refused for ONNX models, and the other way round."""
    with pytest.raises(InputError, match="device= is not supported for an ONNX model"):
        onepass.load(THREE.graph, device=0)
    with fake_gpu("10.16.1"):
        plan = _three()
        with pytest.raises(InputError, match="providers= is not supported for an engine"):
            onepass.load(plan, providers=["cpu"])
        with pytest.raises(InputError, match="contexts="):
            onepass.load(plan, contexts=0)


def test_weight_streaming() -> None:
    """Weights may stay on the host where the engine was built for that; then passes are not recorded."""
    engine = fake_engine("10.16.1", THREE.graph.to_bytes(), streamable=1 << 20)
    with fake_gpu("10.16.1"), onepass.load(engine, weight_streaming_bytes=1 << 16) as session:
        for seed in range(3):
            np.testing.assert_allclose(session(x=x_of(2, seed))["zebra"], -x_of(2, seed))
        assert session.report()["passes"][0]["eager_because"] == "the weights are streamed"
    with fake_gpu("10.16.1"), pytest.raises(BackendError, match="must be built with weight streaming"):
        onepass.load(fake_engine("10.16.1", THREE.graph.to_bytes()), weight_streaming_bytes=1 << 16)
    with fake_gpu("8.5.3"), pytest.raises(UnsupportedModelError, match="does not support weight streaming"):
        onepass.load(fake_engine("8.5.3", THREE.graph.to_bytes()), weight_streaming_bytes=1 << 16)


# ---- what it says of itself --------------------------------------------------------------------------------------


def test_report() -> None:
    """The report names TensorRT, the GPU, the profiles and each shape that is ready; it is plain JSON."""
    with fake_gpu("10.16.1"), onepass.load(_three()) as session:
        for _ in range(3):
            outputs = session(x=x_of(2))
        report = session.report()
        assert (report["backend"], report["version"], report["device"]) == ("tensorrt", "10.16.1", "Fake GPU")
        assert report["passes"] == [{"profile": 0, "shapes": {"x": [2, 4]}, "recorded": True, "eager_because": None}]
        assert report["profiles"][0]["shapes"] == {"x": [[1, 4], [4, 4], [64, 4]]}
        assert len(outputs) == 3


def test_profile() -> None:
    """The parts of a pass are timed by trtexec's names; ONNX Runtime has none."""
    with fake_gpu("10.16.1"), onepass.load(_three()) as session:
        for _ in range(3):
            times = session.profile(x=x_of(2))
            assert times is not None
            assert set(times) == {"h2d_ms", "gpu_compute_ms", "d2h_ms", "enqueue_ms"}
        assert_same(session(x=x_of(2)), THREE.reference({"x": x_of(2)}))
    with onepass.load(THREE.graph) as session:
        assert session.profile(x=x_of(2)) is None


def test_loading_that_fails_leaves_nothing() -> None:
    """Whatever call of CUDA fails while an engine is opened, nothing is left allocated."""
    with fake_gpu("10.16.1") as (cuda, _):
        plan = _three()
        for function in ("cuStreamCreate", "cuMemAlloc"):
            cuda.fail_next(function, "CUDA_ERROR_OUT_OF_MEMORY")
            with pytest.raises(BackendError):
                onepass.load(plan)


def test_the_command_runs_engines(tmp_path: Path) -> None:
    """``onepass run`` takes an engine as it takes an ONNX file, by its outputs' names."""
    path = tmp_path / "three.engine"
    with fake_gpu("10.16.1"):
        _three().save(path)
        result = CliRunner().invoke(cli, ["run", str(path), "--random", "--device", "0", "--json"])
        assert result.exit_code == 0, result.output
        printed = json.loads(result.output)
        assert list(printed["outputs"]) == ["zebra", "ant", "monkey"]
        assert printed["backend"] == "tensorrt"
        result = CliRunner().invoke(cli, ["run", str(path), "--random", "--provider", "cpu"])
        assert isinstance(result.exception, InputError)
