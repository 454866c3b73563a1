"""One session over several GPUs, on stand-ins."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import onepass
from onepass import BackendError, DeviceError, InputError, ModelSpec, Session
from onepass.cli import cli
from onepass.runtime.cuda.arrays import DeviceArray
from tests.checker import assert_same, check
from tests.fakes.cuda import FakeCuda
from tests.runtime.gpu import busy, fake_gpu, on_gpu, plan_for, plan_of
from tests.runtime.three import THREE, expected_of, x_of
from tests.threads import in_threads
from tests.zoo import BY_NAME

APIS = ("8.5.3", "10.16.1")


@contextmanager
def _session(api: str, device: Any = "all", *, gpus: int = 2, **options: Any) -> Iterator[tuple[FakeCuda, Session]]:
    with (
        fake_gpu(api, devices=gpus) as (cuda, _),
        onepass.load(plan_of(THREE.graph, batch=(1, 4, 64)), device=device, **options) as session,
    ):
        yield cuda, session


def _used(session: Session) -> dict[int, bool]:
    """Which GPUs have run anything."""
    return {each["device_index"]: bool(each["passes"]) for each in session.report()["devices"]}


@pytest.mark.parametrize(
    "name",
    ["three heads", "data-dependent shape", "output int64", "two inputs, one batch", "a loop that shadows an output"],
)
@pytest.mark.parametrize("api", APIS)
def test_checker(api: str, name: str) -> None:
    """A session over three GPUs keeps every promise."""
    with fake_gpu(api, results_gone=True, devices=3):
        plan = plan_for(BY_NAME[name])
        check(lambda _: onepass.load(plan, device=[2, 0, 1]), BY_NAME[name])


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("gpus", [2, 5])
def test_calls_go_to_whichever_gpu_is_free(api: str, gpus: int) -> None:
    """While calls are under way, the next goes to a GPU that has none; results are those of one GPU."""
    with _session(api, gpus=gpus) as (_, session):
        for number in range(gpus):
            with ExitStack() as stack:
                results = [stack.enter_context(busy(lambda s=seed: session(x=x_of(3, s)))) for seed in range(number)]  # type: ignore[misc]
                assert_same(session(x=x_of(3, 9)), expected_of(3, 9))
            for seed, each in enumerate(results):
                assert_same(each[0], expected_of(3, seed))
            assert sum(_used(session).values()) == number + 1
        assert session._backend.concurrency == gpus * (2 if api == "8.5.3" else 8)


def test_one_caller_stays_on_one_gpu() -> None:
    """Calls one after the other need the memory of one GPU only."""
    with _session("10.16.1") as (_, session):
        for seed in range(6):
            assert_same(session(x=x_of(3, seed)), expected_of(3, seed))
        assert _used(session) == {0: True, 1: False}


@pytest.mark.parametrize("api", APIS)
def test_many_threads(api: str) -> None:
    """Sixteen threads, submitted calls and kept results on three GPUs."""
    with _session(api, gpus=3, contexts=2) as (_, session):
        kept: list[Any] = []

        def work(number: int) -> None:
            for turn in range(8):
                seed = number * 100 + turn
                future = session.submit(x=x_of(2, seed))
                kept.append((seed, session(x=x_of(3, seed)), future.result(30)))

        in_threads(16, work)
        for seed, outputs, submitted in kept:
            assert_same(outputs, expected_of(3, seed))
            assert_same(submitted, expected_of(2, seed))


@pytest.mark.parametrize("api", APIS)
def test_arrays_run_on_their_own_gpu(api: str) -> None:
    """An array on a GPU is computed there, and its outputs stay there, whichever GPU is free."""
    with _session(api, [1, 2], gpus=3) as (cuda, session):
        for number in (1, 2, 1, 2):
            with on_gpu(cuda, x_of(3, number), number) as array:
                outputs = session(x=array)
                for name, expected in expected_of(3, number).items():
                    found = outputs[name]
                    assert isinstance(found, DeviceArray)
                    assert found.device == number
                    np.testing.assert_allclose(_on_host(found), expected, rtol=1e-5)
                again: Any = session(x=outputs["monkey"], outputs=["monkey"])["monkey"]
                assert again.device == number
                del outputs, again, found
        with (
            on_gpu(cuda, x_of(3), 0) as array,
            pytest.raises(InputError, match=r"'x' is on GPU 0, .* on GPU 1 and 2"),
        ):
            session(x=array)


def test_an_array_from_a_thread_that_has_no_gpu_yet() -> None:
    """A thread that never used a GPU may hand in an array which does not say on which one it lies."""
    with _session("10.16.1") as (cuda, session), on_gpu(cuda, x_of(3), 1) as array:
        devices: list[Any] = []
        in_threads(1, lambda _: devices.append(session(x=array, outputs=["ant"])["ant"]))
        assert devices.pop().device == 1


def _on_host(array: DeviceArray) -> np.ndarray[Any, Any]:
    """Look at the memory of a fake GPU."""
    copy = np.empty(array.shape, array.dtype)
    ctypes.memmove(copy.ctypes.data, array.address, array.nbytes)
    return copy


def test_inputs_on_two_gpus() -> None:
    """One call cannot run on two GPUs, and is told which input lies where; one on the host goes along."""
    animal = BY_NAME["two inputs, one batch"]
    (case,) = animal.cases
    with fake_gpu("10.16.1", devices=2) as (cuda, _), onepass.load(plan_for(animal), device="all") as session:  # noqa: SIM117
        with on_gpu(cuda, case["a"], 0) as a, on_gpu(cuda, case["b"], 1) as b:
            with pytest.raises(InputError, match=r"'a' on GPU 0, 'b' on GPU 1"):
                session(a=a, b=b)
            outputs: Any = session(a=case["a"], b=b)
            assert {each.device for each in outputs.values()} == {1}
            del outputs


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("broken", [0, 1])
def test_a_gpu_that_fails_is_named(api: str, broken: int) -> None:
    """The calls on a GPU that breaks down end in an error that names it; further ones go to the others."""
    with _session(api) as (cuda, session):
        with busy(lambda: session(x=x_of(3, 1))) as results:  # on GPU 0
            session(x=x_of(3, 2))  # on GPU 1
        with busy(lambda: session(x=x_of(3, 3))) as results:
            cuda.break_gpu(broken)
            if broken == 1:
                with pytest.raises(BackendError, match=r"GPU 1 \(Fake GPU\): .*ILLEGAL_ADDRESS"):
                    session(x=x_of(3, 4))
            else:
                assert_same(session(x=x_of(3, 4)), expected_of(3, 4))
        first = results.pop()
        if broken == 0:
            assert isinstance(first, BackendError)
            assert "GPU 0 (Fake GPU): " in str(first)
            del first
        for seed in range(4):
            with busy(lambda seed=seed: session(x=x_of(3, seed))) as results:  # type: ignore[misc]
                assert_same(session(x=x_of(3, seed + 9)), expected_of(3, seed + 9))
            assert_same(results[0], expected_of(3, seed))
        assert [each["state"] for each in session.report()["devices"]] == [
            "broken" if number == broken else "open" for number in range(2)
        ]


def test_when_no_gpu_is_left_calls_say_so() -> None:
    """With all GPUs broken a call ends in the error of one of them, and does not wait."""
    with _session("10.16.1") as (cuda, session):
        for number in range(2):
            cuda.break_gpu(number)
        for _ in range(4):
            with pytest.raises(BackendError, match=r"GPU \d \(Fake GPU\)"):
                session(x=x_of(3))


def test_an_error_that_passes_breaks_nothing() -> None:
    """A call that fails for once is told on which GPU, which is used as before."""
    with _session("10.16.1") as (cuda, session):
        for _ in range(4):
            session(x=x_of(3))
        cuda.fail_next("cuStreamSynchronize", "CUDA_ERROR_LAUNCH_FAILED")
        with pytest.raises(BackendError, match=r"GPU 0 \(Fake GPU\): .*LAUNCH_FAILED"):
            session(x=x_of(3))
        assert {each["state"] for each in session.report()["devices"]} == {"open"}
        assert_same(session(x=x_of(3)), expected_of(3))


def test_a_gpu_that_is_not_there() -> None:
    """Each of several GPUs has to be there; what was opened on the others is closed again."""
    with fake_gpu("10.16.1", devices=2):
        plan = plan_of(THREE.graph, batch=(1, 4, 64))
        with pytest.raises(DeviceError, match=r"device=2: this process sees 2 GPU"):
            onepass.load(plan, device=[0, 2])
        for wrong in ([], [0, 0], [0, -1], [True], "both", 1.5, ["0"]):
            with pytest.raises(InputError, match=r"device (must be the number of a GPU|contains a GPU twice)"):
                onepass.load(plan, device=wrong)  # type: ignore[arg-type]


def test_report() -> None:
    """The report has an entry for each GPU, and is plain JSON."""
    with _session("10.16.1") as (_, session):
        session(x=x_of(3))
        report = json.loads(json.dumps(session.report()))
        assert report["device"] == "GPU 0: Fake GPU, GPU 1: Fake GPU"
        assert [each["device_index"] for each in report["devices"]] == [0, 1]
        assert all(each["memory_bytes"]["free"] > 0 for each in report["devices"])


@given(devices=st.sampled_from(["all"]) | st.integers(0, 9) | st.lists(st.integers(0, 9), min_size=1, unique=True))
def test_a_spec_holds_several_gpus(devices: Any) -> None:
    """A spec's GPUs go to JSON and into a word, and back."""
    spec = ModelSpec("elg.engine", device=devices)
    assert ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert len({spec, ModelSpec.from_json(spec.to_json())}) == 1
    if not isinstance(devices, list) or len(devices) > 1:
        assert ModelSpec.parse(str(spec)) == spec


@pytest.mark.parametrize(("word", "count"), [("0,1", 2), ("all", 3), ("2", 1), ("1,0,2", 3)])
def test_the_command_runs_on_several(tmp_path: Path, word: str, count: int) -> None:
    """``--device 0,1`` and ``--device all`` open an engine on several GPUs."""
    path = tmp_path / "three.engine"
    with fake_gpu("10.16.1", devices=3):
        plan_of(THREE.graph, batch=(1, 4, 64)).save(path)
        result = CliRunner().invoke(cli, ["run", str(path), "--random", "--device", word, "--json"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)["device"].count("Fake GPU") == count


@pytest.mark.parametrize("word", ["0,0", "-1", "both", "0,", "0;1", ""])
def test_the_command_refuses_other_words(word: str) -> None:
    """A word that names no GPUs is refused before anything is opened."""
    result = CliRunner().invoke(cli, ["run", "three.engine", "--random", "--device", word])
    assert result.exit_code == 2
    assert f"{word!r}: expected GPU numbers such as 0 or 0,1, or all" in result.output
