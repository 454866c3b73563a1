"""TensorRT backend: runs engines on NVIDIA GPUs, one recorded pass per call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onepass._errors import InputError
from onepass.engine.layers import TimedLayer
from onepass.outputs import Array
from onepass.runtime._model import ModelHandle
from onepass.runtime.cuda.device import Device
from onepass.runtime.gpu.backend import GpuBackend, device_numbers
from onepass.runtime.gpu.budget import KeptMemory
from onepass.runtime.gpu.frozen_pass import Pass
from onepass.runtime.spec import Devices
from onepass.runtime.tensorrt._engine import Engine
from onepass.runtime.tensorrt._layer_times import time_layers
from onepass.runtime.tensorrt._passes import EnginePasses


class TensorRTBackend(GpuBackend):
    """Runs an engine, on one GPU or several."""

    def __init__(
        self,
        handle: ModelHandle,
        *,
        device: Devices = 0,
        flavor: str | None = None,
        contexts: int = 4,
        keep_bytes: int | None = None,
        plugins: Sequence[str] = (),
        weights: str | None = None,
        weight_streaming_bytes: int | None = None,
    ) -> None:
        """Open the engine; see `onepass.load` for the arguments and errors."""
        if contexts < 1:
            raise InputError(f"contexts= must be a whole number ≥ 1, got {contexts!r}")
        kept = KeptMemory.of(keep_bytes)
        engines = [
            Engine(
                handle.engine(),
                name=handle.name,
                device=Device(number),
                flavor=flavor,
                plugins=plugins,
                weights=weights,
                weight_streaming_bytes=weight_streaming_bytes,
            )
            for number in device_numbers(device)
        ]
        self._engine = engines[0]
        passes = [EnginePasses(each, kept, contexts=contexts) for each in engines]
        super().__init__(passes, kept)

    def profile_layers(self, feeds: Mapping[str, Array]) -> Sequence[TimedLayer]:
        """Run several times and return the time of each layer."""
        with self._pass_for(feeds) as passing:
            assert isinstance(passing, Pass)  # noqa: S101 - an engine has only frozen passes
            return time_layers(self._engine, passing, feeds)

    def report(self) -> Mapping[str, Any]:
        """Return TensorRT's name and version, the GPUs, the profiles, and how each input shape runs."""
        engine = self._engine
        return {
            "backend": engine.flavor.name,
            "version": engine.flavor.version,
            **super().report(),
            "profiles": [profile.to_json() for profile in engine.profiles],
            "shares_profiles": engine.shares_profiles,
        }
