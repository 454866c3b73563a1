"""A PyTorch network with three heads, its outputs by the names it gives them: python -m examples.three_heads [FILE]."""

import sys

import numpy as np
import torch

import onepass


class ThreeHeads(torch.nn.Module):
    """One trunk, three heads; `forward` returns them by name."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU())
        self.mask, self.box, self.label = torch.nn.Conv2d(8, 1, 1), torch.nn.Linear(8, 4), torch.nn.Linear(8, 10)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return mask [N, 1, H, W], box [N, 4] and label [N, 10]."""
        features = self.trunk(image)
        pooled = features.mean(dim=(2, 3))
        return self.mask(features), self.box(pooled), self.label(pooled)


def main(path: str = "three_heads.onnx") -> None:
    """Export with names, run once, and compare with PyTorch itself."""
    network, image = ThreeHeads().eval(), torch.randn(2, 3, 32, 32)
    torch.onnx.export(
        network, (image,), path, input_names=["image"], output_names=["mask", "box", "label"], dynamo=False,
        dynamic_axes={name: {0: "N"} for name in ("image", "mask", "box", "label")},
    )  # fmt: skip
    with onepass.load(path) as session:
        outputs = session(image=image.numpy())
    for name, expected in zip(outputs, network(image), strict=True):
        np.testing.assert_allclose(outputs[name], expected.detach().numpy(), atol=1e-5)
    print(outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
