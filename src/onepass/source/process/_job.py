"""A framework's job: open a source, check the options against it, export it, and run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onepass.source._export import FrameworkExport, export_network
from onepass.source.finish import ModelOptions
from onepass.source.framework import Framework, Request


@dataclass(frozen=True, slots=True)
class ExportJob:
    """The export of one source by its framework.

    Attributes:
        framework: The framework.
        source: Path of the network, or the network itself.
        request: How to open it.
        options: Options for the model; those that do not match the source are refused before the export.
        opset: ONNX opset version.
        verify: Whether to run the network.
    """

    framework: Framework
    source: Any
    request: Request
    options: ModelOptions
    opset: int
    verify: bool

    def run(self, scratch: Path) -> FrameworkExport:
        """Run the job in this process.

        Args:
            scratch: See `export_network`.

        Raises:
            OnepassError: See the framework's module.
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
