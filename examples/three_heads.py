"""Convert a PyTorch network with three heads and keep their names: python -m examples.three_heads [FILE]."""

import sys

import numpy as np

import onepass

try:
    import torch
except ImportError:
    sys.exit("this example needs PyTorch: pip install '.[torch]'")


class ThreeHeads(torch.nn.Module):
    """One trunk, three heads; `forward` returns them by name."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
        self.mask, self.box, self.label = torch.nn.Conv2d(8, 1, 1), torch.nn.Linear(8, 4), torch.nn.Linear(8, 10)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return mask [N, 1, H, W], box [N, 4] and label [N, 10]."""
        features = self.trunk(image)
        pooled = features.mean(dim=(2, 3))
        return {"mask": self.mask(features), "box": self.box(pooled), "label": self.label(pooled)}


def main(path: str = "three_heads.onnx") -> None:
    """Convert, which compares the result with PyTorch, and run with another batch size."""
    conversion = onepass.convert(
        ThreeHeads(), path, example_inputs=torch.randn(2, 3, 32, 32), dynamic={"image": {0: "N", 2: "H", 3: "W"}}
    )
    for error in conversion.errors:
        print(error)
    with onepass.load(path) as session:
        print(session(image=np.zeros((5, 3, 24, 40), np.float32)))


if __name__ == "__main__":
    main(*sys.argv[1:])
