"""What a framework is to do: open one source, refuse what does not fit it, export it, and run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onepass.source._export import FrameworkExport, export_network
from onepass.source.finish import ModelOptions
from onepass.source.framework import Framework, Request


@dataclass(frozen=True, slots=True)
class ExportJob:
    """One source, to be exported by its framework.

    Attributes:
        framework: Which framework opens it.
        source: Path of the network, or the network itself.
        request: How to open it.
        options: What the model is to be like; what does not fit the source is refused before it is exported.
        opset: ONNX's operators to export to.
        verify: Whether to run it.
    """

    framework: Framework
    source: Any
    request: Request
    options: ModelOptions
    opset: int
    verify: bool

    def run(self, scratch: Path) -> FrameworkExport:
        """Do it in this process.

        Args:
            scratch: See `export_network`.

        Raises:
            OnepassError: As the framework's module raises it.
        """
        trained = self.framework.open_(self.source, self.request)
        self.options.check(trained.signature)
        batch = self.options.batch if isinstance(self.options.batch, int) else None
        return export_network(
            trained,
            opset=self.opset,
            verify=self.verify,
            scratch=scratch,
            given=self.request.example_inputs,
            batch=batch,
        )
