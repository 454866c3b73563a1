"""ONNX Runtime's CUDA provider on a stand-in: frozen passes, as engines have them, and what cannot be frozen."""

from __future__ import annotations

import pytest

import onepass
from tests.checker import check
from tests.runtime.gpu import fake_cuda_provider
from tests.zoo import ZOO, Animal


@pytest.mark.parametrize("animal", ZOO, ids=lambda animal: animal.name)
def test_checker(animal: Animal) -> None:
    """Every promise on every model of the zoo, whether its passes can be frozen or not."""
    with fake_cuda_provider(results_gone=True):
        check(lambda source: onepass.load(source, providers=["cuda"]), animal)
