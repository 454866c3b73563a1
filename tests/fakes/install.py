"""Put the stand-ins where ``import`` finds them, for the length of a block or a test, and take them away again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from tests.fakes.cuda import FakeCuda

FLAVOURS = ("tensorrt", "tensorrt_rtx", "tensorrt_lean", "tensorrt_dispatch")
"""Everything that code might import as TensorRT."""


@contextmanager
def installed(*tensorrts: ModuleType, cuda: FakeCuda | None = None) -> Iterator[None]:
    """Let ``import tensorrt`` (by whatever name a stand-in has) and ``cuda.bindings.driver`` give the stand-ins.

    Flavours of TensorRT that are not given cannot be imported meanwhile, even where they are installed. Without
    `cuda`, cuda-bindings cannot be imported either.
    """
    modules: dict[str, ModuleType | None] = dict.fromkeys((*FLAVOURS, "cuda.bindings.driver"))
    modules |= {module.__name__: module for module in tensorrts}
    if cuda is not None:
        driver = cuda.module()
        bindings = ModuleType("cuda.bindings")
        bindings.__dict__.update(driver=driver, __path__=[], __version__=cuda.version)
        package = ModuleType("cuda")
        package.__dict__.update(bindings=bindings, __path__=[])
        modules |= {"cuda": package, "cuda.bindings": bindings, "cuda.bindings.driver": driver}
    missing = object()
    before = {name: sys.modules.get(name, missing) for name in modules}
    sys.modules.update(modules)  # type: ignore[arg-type] # None is how Python marks what cannot be imported
    try:
        yield
    finally:
        for name, module in before.items():
            if module is missing:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module  # type: ignore[assignment]
