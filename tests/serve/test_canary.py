"""What a model is tried with, and whether its rows are its own."""

from __future__ import annotations

import numpy as np
import pytest

import onepass
from onepass import Session, Signature, TensorSpec
from onepass.runtime.fake import FakeBackend
from onepass.serve.canary import canary, has_rows, most_rows
from tests.serve.served import heads
from tests.zoo import model

_CASES = {
    "rows by themselves": ("(float[N, 4] x) => (float[N, 4] y) { y = Softmax <axis = 1> (x) }", True),
    "sizes of several names": ("(float[N, 4] x) => (float[M, 4] y) { y = Relu (x) }", True),
    "a softmax over the batch": ("(float[N, 4] x) => (float[N, 4] y) { y = Softmax <axis = 0> (x) }", False),
    "a sum over the batch": ("(float[N, 4] x) => (float[M, 4] y) { y = ReduceSum <keepdims = 1> (x, a) }", False),
    "rows in another order": ("(float[N, 4] x) => (float[N, 4] y) { y = Slice (x, last, first, a, back) }", False),
    "outputs of other rows": ("(float[N, 4] x) => (float[M, 4] y) { y = Concat <axis = 0> (x, x) }", False),
    "a fixed batch": ("(float[1, 4] x) => (float[1, 4] y) { y = Relu (x) }", False),
    "an output without rows": ("(float[N, 4] x) => (float y) { y = ReduceSum <keepdims = 0> (x) }", False),
    "a shared scalar": ("(float[N, 4] x, float s) => (float[N, 4] y) { y = Mul (x, s) }", False),
}
_WEIGHTS = "<int64[1] a = {0}, int64[1] last = {-1}, int64[1] first = {-99}, int64[1] back = {-1}>"


@pytest.mark.parametrize("name", _CASES)
def test_only_rows_of_their_own_are_joined(name: str) -> None:
    """Rows are joined if the model computes each by itself, as it shows; a signature that says so is not enough."""
    text, want = _CASES[name]
    with onepass.load(model(text.replace(") {", f") {_WEIGHTS} {{", 1))) as session:
        feeds = canary(session)
        assert feeds is not None
        assert has_rows(session, feeds) == want


def test_sizes_are_found() -> None:
    """A network that takes no pictures of one pixel is tried with larger ones."""
    text = "(float[N, 1, H, W] x) => (float[N, 1, K, L] y) <float[1, 1, 5, 5] w = {%s}> { y = Conv (x, w) }"
    with onepass.load(model(text % ", ".join(["0.1"] * 25))) as session:
        feeds = canary(session)
        assert feeds is not None
        assert feeds["x"].shape == (1, 1, 16, 16)
        assert has_rows(session, feeds)


def test_a_model_that_takes_nothing_made_up_has_none() -> None:
    """Where no random inputs are computed, there is no canary."""

    def never(_: object) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        raise ValueError("only real faces")

    float32 = np.dtype("float32")
    signature = Signature((TensorSpec("x", float32, ("N", 2)),), (TensorSpec("y", float32, ("N", 2)),))
    with Session(FakeBackend(signature, never)) as session:
        assert canary(session) is None


def test_profiles_say_how_many_rows() -> None:
    """Of an engine, the profiles say what it is tried with, and how many rows it takes."""
    profile = {"shapes": {"x": [[1, 4], [6, 4], [12, 4]]}, "values": {}}

    class Profiled(FakeBackend):
        def report(self) -> dict[str, object]:
            return {**super().report(), "profiles": [profile]}

    with heads() as other:
        signature = other.signature
    with Session(Profiled(signature)) as session:
        feeds = canary(session)
        assert feeds is not None
        assert feeds["x"].shape == (1, 4)
        assert most_rows(session) == 12
