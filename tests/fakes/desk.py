"""A fake GPU with a fake TensorRT on it, and short ways to use both, for the tests of the fakes."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tests.fakes.rig import Rig
from tests.fakes.tensorrt import fake_engine, make_tensorrt
from tests.zoo import model

ADD = model("(float[N] x, float[N] y) => (float[N] z) { z = Add (x, y) }").to_bytes()
"""A model that adds two vectors."""
RANGES = dict.fromkeys("xy", ((1,), (4,), (8,)))
"""A profile for it."""


class Desk(Rig):
    """A fake GPU with a fake TensorRT, its logger's lines, and ways to run an engine."""

    def __init__(self, api: str = "10.16.1", **options: Any) -> None:
        super().__init__(capability=(8, 9) if api.startswith("rtx") else (9, 0), **options)
        self.api = api
        self.trt: Any = make_tensorrt(api, self.cuda)
        self.lines: list[str] = []
        lines = self.lines

        class Logger(self.trt.ILogger):  # type: ignore[misc,name-defined] # known at run time only
            def __init__(self, module: Any) -> None:
                module.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                lines.append(f"{severity.name} {msg}")

        self.logger = Logger(self.trt)
        self.main = self.stream()

    def engine_bytes(self, onnx_bytes: bytes = ADD, profiles: Any = ({**RANGES},), **fields: Any) -> bytes:
        """Return an engine for the GPU that is here."""
        return fake_engine(self.api, onnx_bytes, profiles, **{"compute": self.trt.compute, **fields})

    def load(self, data: bytes) -> Any:
        """Deserialise."""
        return self.trt.Runtime(self.logger).deserialize_cuda_engine(data)

    def context(self, **fields: Any) -> Any:
        """Return a context of an engine that adds."""
        return self.load(self.engine_bytes(**fields)).create_execution_context()

    def place(self, context: Any, rows: int = 2) -> dict[str, Any]:
        """Set shapes and addresses of x, y and z; return views of their memory."""
        views = {}
        for name in "xyz":
            address = self.pinned()
            assert context.set_tensor_address(name, address)
            if name != "z":
                assert context.set_input_shape(name, (rows,))
            views[name] = view_at(address, rows)
        return views

    def wait(self) -> None:
        """Wait for the stream, without an error."""
        self.do("cuStreamSynchronize", self.main)

    def enqueue(self, context: Any) -> bool:
        """Queue a pass."""
        return bool(context.execute_async_v3(int(self.main)))


def view_at(address: int, size: int, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """Return an array on memory."""
    data = (ctypes.c_uint8 * (size * np.dtype(dtype).itemsize)).from_address(address)
    return np.frombuffer(data, dtype)


class Bench(Desk):
    """A desk with a builder."""

    def parse(self, data: bytes) -> tuple[bool, Any, Any]:
        """Parse; return whether it worked, the network and the parser."""
        self.builder = self.trt.Builder(self.logger)
        flag = getattr(self.trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
        network = self.builder.create_network(0 if flag is None else 1 << int(flag))
        parser = self.trt.OnnxParser(network, self.logger)
        return parser.parse(data), network, parser

    def config(self, ranges: Any = RANGES) -> Any:
        """Return a configuration with one profile."""
        config = self.builder.create_builder_config()
        profile = self.builder.create_optimization_profile()
        for name, triple in ranges.items():
            profile.set_shape(name, *triple)
        assert config.add_optimization_profile(profile) == 0
        return config
