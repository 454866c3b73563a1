"""What a framework is to do: open one source, refuse what does not fit it, export it, and run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from onepass.source._export import Harvest, harvest
from onepass.source.finish import Wishes
from onepass.source.framework import Framework, Request


@dataclass(frozen=True, slots=True)
class Order:
    """One source, on its way to a harvest.

    Attributes:
        framework: Which framework opens it.
        source: Path of the network, or the network itself.
        request: How to open it.
        wishes: What the model shall be like; what does not fit the source is refused before it is exported.
        opset: ONNX's operators to export to.
        verify: Whether to run it.
    """

    framework: Framework
    source: Any
    request: Request
    wishes: Wishes
    opset: int
    verify: bool

    def carry_out(self) -> Harvest:
        """Do it in this process.

        Raises:
            OnepassError: As the framework's module raises it.
        """
        trained = self.framework.open_(self.source, self.request)
        self.wishes.check(trained.signature)
        return harvest(trained, opset=self.opset, verify=self.verify)
