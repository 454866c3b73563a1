"""Every backend passes the same checker on the whole zoo, and the checker can fail."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onepass import OnnxGraph, Session, load
from onepass.runtime import Backend
from onepass.runtime.fake import FakeBackend
from tests.checker import check
from tests.zoo import BY_NAME, ZOO, Animal, Arrays

animals = pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)


@animals
def test_onnxruntime_passes_the_checker(animal: Animal) -> None:
    """ONNX Runtime keeps every promise on every model."""
    check(load, animal)


@animals
def test_onnxruntime_passes_the_checker_from_a_file(animal: Animal, tmp_path: Any) -> None:
    """A model loaded from a file behaves like one in memory, whatever the file is called."""

    def open_file(graph: OnnxGraph) -> Session:
        graph.save(tmp_path / "weights.bin")
        return load(tmp_path / "weights.bin")

    check(open_file, animal)


@animals
def test_fake_passes_the_checker(animal: Animal) -> None:
    """The fake backend, given the function of a model, keeps the same promises."""
    check(lambda graph: Session(FakeBackend(graph.signature, animal.reference)), animal)


class Least:
    """A backend of one's own, that derives from nothing."""

    def __init__(self, animal: Animal) -> None:
        self.signature = animal.graph.signature
        self._animal = animal

    def run(self, feeds: Arrays, names: Any) -> list[Any]:
        """Compute."""
        results = self._animal.reference(feeds)
        return [np.array(results[name]) for name in names]

    def report(self) -> dict[str, Any]:
        """Name itself."""
        return {"backend": "least", "device": "none"}

    def close(self) -> None:
        """Hold nothing."""


def test_what_a_backend_is() -> None:
    """Whatever has the four members is a `Backend`; one that lacks any is none."""
    assert isinstance(Least(BY_NAME["three heads"]), Backend)
    assert not isinstance(object(), Backend)


@animals
def test_four_members_are_enough(animal: Animal) -> None:
    """Anything with a signature, run, report and close is a backend; the session completes the rest."""
    check(lambda _: Session(Least(animal)), animal)


def _wrong(change: Callable[[dict[str, Any]], Any]) -> Callable[[OnnxGraph], Session]:
    animal = BY_NAME["three heads"]

    class Wrong(FakeBackend):
        def run(self, feeds: Arrays, names: Any) -> list[Any]:
            results = dict(zip(names, super().run(feeds, names), strict=True))
            change(results)
            return list(results.values())

    return lambda graph: Session(Wrong(graph.signature, animal.reference))


def _swap(results: dict[str, Any]) -> None:
    if len(results) == 3:
        results["zebra"], results["monkey"] = results["monkey"], results["zebra"]


def _wrong_dtype(results: dict[str, Any]) -> None:
    results.update({name: array.astype(np.float64) for name, array in results.items()})


def _wrong_shape(results: dict[str, Any]) -> None:
    results.update({name: array[None] for name, array in results.items()})


def _reuse() -> Callable[[dict[str, Any]], None]:
    memory: dict[Any, Any] = {}

    def change(results: dict[str, Any]) -> None:
        for name, array in results.items():
            slot = memory.setdefault((name, array.shape), array)
            slot[...] = array
            results[name] = slot

    return change


@pytest.mark.parametrize(
    "change", [_swap, _wrong_dtype, _wrong_shape, _reuse()], ids=["swapped", "dtype", "shape", "overwritten later"]
)
def test_checker_finds_a_broken_backend(change: Any) -> None:
    """A backend that breaks a promise does not pass, so the checker is worth something."""
    with pytest.raises(AssertionError):
        check(_wrong(change), BY_NAME["three heads"])


@pytest.mark.parametrize("part", ["empty_inputs", "profile"])
def test_checker_finds_a_broken_optional_part(part: str) -> None:
    """What a backend has beyond the least is held to its promises too."""
    animal = BY_NAME["three heads"]

    class Wrong(FakeBackend):
        def empty_inputs(self, shapes: Any) -> Any:
            arrays = super().empty_inputs(shapes)
            return {name: a.astype(np.float64) for name, a in arrays.items()} if part == "empty_inputs" else arrays

        def profile(self, feeds: Any) -> Any:
            return {"gpu_compute_ms": -1.0} if part == "profile" else None

    with pytest.raises(AssertionError):
        check(lambda graph: Session(Wrong(graph.signature, animal.reference)), animal)
