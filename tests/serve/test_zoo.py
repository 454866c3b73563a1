"""Every model of the zoo behind a server: the same outputs, in the same order, as its function in NumPy has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import onepass
from onepass import OnepassError
from onepass.serve import Models, Server
from onepass.serve.datatypes import bytes_from_array, datatype_name, datatype_of
from onepass.web import Listening
from tests.serve.served import Array, Client
from tests.serve.test_http import outputs_of
from tests.zoo import ZOO, Animal


def _name(animal: Animal) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in animal.name)


@pytest.fixture(scope="module")
def zoo() -> Iterator[tuple[Server, list[Animal]]]:
    """Serve the zoo, but for those with dtypes that the protocol has not."""
    with ExitStack() as stack:
        sessions, served = {}, []
        for animal in ZOO:
            session = stack.enter_context(onepass.load(animal.graph))
            try:
                for spec in (*session.signature.inputs, *session.signature.outputs):
                    datatype_of(spec)
            except OnepassError:
                continue
            sessions[_name(animal)] = session
            served.append(animal)
        models = stack.enter_context(Models(sessions))
        yield stack.enter_context(Server(models, Listening(port=0), grpc_port=None)), served


def _request(inputs: dict[str, Array]) -> tuple[bytes, int]:
    tail = {name: bytes(bytes_from_array(array)) for name, array in inputs.items()}
    tensors: list[dict[str, Any]] = [
        {
            "name": name, "datatype": datatype_name(array.dtype), "shape": list(array.shape),
            "parameters": {"binary_data_size": len(tail[name])},
        }
        for name, array in inputs.items()
    ]  # fmt: skip
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    return b"".join([head, *tail.values()]), len(head)


def test_the_zoo_is_served(zoo: tuple[Server, list[Animal]]) -> None:
    """Asked one after the other, and many times at once, every model gives what it gives alone."""
    server, animals = zoo
    assert len(animals) > 40

    def ask(animal: Animal, case: int, times: int) -> None:
        inputs = {name: np.asarray(array) for name, array in animal.cases[case].items()}
        want = animal.reference(inputs)
        body, length = _request(inputs)
        client = Client(server.address)
        for _ in range(times):
            path = f"/v2/models/{_name(animal)}/infer"
            status, answer, of = client.ask(path, body, Inference_Header_Content_Length=str(length))
            assert status == 200, (animal.name, answer)
            found = outputs_of(answer, of.headers["Inference-Header-Content-Length"])
            assert list(found) == list(want), animal.name
            for name, array in want.items():
                assert found[name].dtype == array.dtype, animal.name
                if array.dtype == object:
                    assert found[name].tolist() == array.tolist(), animal.name
                else:
                    wide = found[name].astype(np.float64)
                    np.testing.assert_allclose(wide, array, rtol=1e-4, atol=1e-5, err_msg=animal.name)
        client.close()

    cases = [(animal, case) for animal in animals for case in range(len(animal.cases))]
    for animal, case in cases:
        ask(animal, case, 1)
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda each: ask(each[0], each[1], 3), cases))
