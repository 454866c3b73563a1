"""ELG: stacked hourglasses to 18 heatmaps, soft-argmax to 18 landmarks, a small head to the eyeball's radius.

After Park et al., "Learning to Find Eye Region Landmarks for Remote Gaze Estimation in Unconstrained Settings" (ETRA
2018). Three things differ, all for speed. The maps have half or a quarter of the input's resolution. The hourglasses
grow wider as they shrink. Every normalisation follows its convolution, so that it folds into it and leaves nothing in
the exported graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

LANDMARK_COUNT = 18
_FIRST_CHANNELS = 16
_RADIUS_UNITS = 64


@dataclass(frozen=True)
class NetworkConfig:
    """Size of a network.

    Attributes:
        height: input pixels; divided by the stride, it must be divisible by every pooling step.
        width: input pixels; likewise.
        stride: input pixels from one heatmap pixel to the next, 2 or 4.
        widths: channels at each level of an hourglass, full resolution first.
        pools: how much each level below the first shrinks, one fewer than ``widths``.
        modules: hourglasses in a row.
        beta: sharpness of the soft-argmax.
    """

    height: int = 72
    width: int = 120
    stride: int = 4
    widths: tuple[int, ...] = (48, 96, 160)
    pools: tuple[int, ...] = (2, 3)
    modules: int = 2
    beta: float = 100.0

    def __post_init__(self) -> None:
        if len(self.pools) != len(self.widths) - 1:
            raise ValueError(f"{len(self.widths)} widths need {len(self.widths) - 1} pools, got {len(self.pools)}")
        if self.stride not in (2, 4):
            raise ValueError(f"the stride must be 2 or 4, got {self.stride}")
        shrink = self.stride
        for pool in self.pools:
            shrink *= pool
        if self.height % shrink or self.width % shrink:
            raise ValueError(f"height and width must be multiples of {shrink}, got {self.height} x {self.width}")

    @classmethod
    def for_size(cls, height: int, width: int) -> NetworkConfig:
        """The configuration for an input size: small inputs get finer maps, fewer channels and one hourglass."""
        if height % 24 == 0 and width % 24 == 0:
            return cls(height=height, width=width)
        return cls(height=height, width=width, stride=2, widths=(32, 96, 160), modules=1)


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation, with or without a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, active: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if active:
            layers.append(nn.ReLU())
        super().__init__(*layers)


class Bottleneck(nn.Module):
    """Residual block 1x1, 3x3, 1x1 with half the channels in the middle; nothing acts on the sum."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // 2
        self.body = nn.Sequential(
            ConvNorm(inputs, middle, 1), ConvNorm(middle, middle, 3), ConvNorm(middle, outputs, 1, active=False)
        )
        self.skip = nn.Identity() if inputs == outputs else ConvNorm(inputs, outputs, 1, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, h, w]`` to ``[N, outputs, h, w]``."""
        return self.skip(x) + self.body(x)  # type: ignore[no-any-return]


class Hourglass(nn.Module):
    """Shrinks, recurses, grows again and adds what it kept."""

    def __init__(self, widths: tuple[int, ...], pools: tuple[int, ...]) -> None:
        super().__init__()
        outer, inner = widths[0], widths[1]
        self.kept = Bottleneck(outer, outer)
        self.pool = nn.MaxPool2d(pools[0])
        self.before = Bottleneck(outer, inner)
        self.middle: nn.Module = Hourglass(widths[1:], pools[1:]) if len(pools) > 1 else Bottleneck(inner, inner)
        self.after = Bottleneck(inner, outer)
        # constant factors, not sizes: they export as constants and leave the batch dimension alone
        self.grow = nn.Upsample(scale_factor=float(pools[0]), mode="bilinear", align_corners=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, outer, h, w]`` to the same shape."""
        return self.kept(x) + self.grow(self.after(self.middle(self.before(self.pool(x)))))  # type: ignore[no-any-return]


class SoftArgmax(nn.Module):
    """Expected position under a softmax of each heatmap, in input pixels."""

    def __init__(self, height: int, width: int, stride: int, beta: float) -> None:
        super().__init__()
        self.beta = beta
        self.cells = height * width
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = (torch.stack([columns, rows], -1).reshape(-1, 2) + 0.5) * stride
        middle = torch.tensor([width, height]) * (stride / 2)
        # Positions are weighted about the middle: small numbers lose less where a runtime multiplies in low precision.
        self.register_buffer("grid", grid - middle, persistent=False)
        self.register_buffer("middle", middle, persistent=False)
        self.grid: Tensor
        self.middle: Tensor

    def forward(self, heatmaps: Tensor) -> Tensor:
        """``[N, 18, h, w]`` to x and y ``[N, 18, 2]``; pixel centres at x.5."""
        scores = heatmaps.reshape(-1, LANDMARK_COUNT, self.cells) * self.beta
        # softmax subtracts the maximum itself; exp(100) would overflow otherwise
        return torch.matmul(torch.softmax(scores, -1), self.grid) + self.middle


class RadiusHead(nn.Module):
    """Eyeball radius in input pixels, from the landmarks alone."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        inputs = 2 * LANDMARK_COUNT
        self.layers = nn.Sequential(
            nn.Linear(inputs, _RADIUS_UNITS),
            nn.ReLU(),
            nn.Linear(_RADIUS_UNITS, _RADIUS_UNITS),
            nn.ReLU(),
            nn.Linear(_RADIUS_UNITS, 1),
        )
        self.scale_px = width / 4
        self._inputs = inputs
        self.register_buffer("middle", torch.tensor([width / 2, height / 2]), persistent=False)
        self.middle: Tensor

    def forward(self, landmarks: Tensor) -> Tensor:
        """``[N, 18, 2]`` to ``[N, 1]``."""
        relative = ((landmarks - self.middle) / self.scale_px).reshape(-1, self._inputs)
        return (self.layers(relative) + 1.0) * self.scale_px  # type: ignore[no-any-return]


def _stem(stride: int, channels: int) -> nn.Sequential:
    """The first layers, which shrink ``[N, 1, H, W]`` by ``stride``: few channels where the picture is large."""
    if stride == 2:
        shrinking = [ConvNorm(1, channels, 7, stride=2)]
    else:
        shrinking = [ConvNorm(1, _FIRST_CHANNELS, 5, stride=2), ConvNorm(_FIRST_CHANNELS, channels, 3, stride=2)]
    return nn.Sequential(*shrinking, Bottleneck(channels, channels), Bottleneck(channels, channels))


class Elg(nn.Module):
    """Eye picture in; heatmaps, landmarks and eyeball radius out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        n, modules = config.widths[0], range(config.modules)
        self.stem = _stem(config.stride, n)
        self.hourglasses = nn.ModuleList(Hourglass(config.widths, config.pools) for _ in modules)
        self.features = nn.ModuleList(nn.Sequential(Bottleneck(n, n), ConvNorm(n, n, 1)) for _ in modules)
        self.maps = nn.ModuleList(nn.Conv2d(n, LANDMARK_COUNT, 1) for _ in modules)
        self.returned = nn.ModuleList(nn.Conv2d(LANDMARK_COUNT, n, 1) for _ in modules[1:])
        self.soft_argmax = SoftArgmax(
            config.height // config.stride, config.width // config.stride, config.stride, config.beta
        )
        self.radius = RadiusHead(config.height, config.width)

    def heatmap_stack(self, eye: Tensor) -> list[Tensor]:
        """Heatmaps of every hourglass, each ``[N, 18, h, w]``, the last one best."""
        x = self.stem(eye)
        stack: list[Tensor] = []
        for index, hourglass in enumerate(self.hourglasses):
            y = self.features[index](hourglass(x))
            stack.append(self.maps[index](y))
            if index < len(self.returned):
                x = x + y + self.returned[index](stack[-1])
        return stack

    def forward(self, eye: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the network.

        Args:
            eye: float32 ``[N, 1, H, W]``, -1..1, histogram-equalised, nasal corner left.

        Returns:
            heatmaps ``[N, 18, H / stride, W / stride]``; landmarks ``[N, 18, 2]`` and radius ``[N, 1]`` in input
            pixels.
        """
        heatmaps = self.heatmap_stack(eye)[-1]
        landmarks = self.soft_argmax(heatmaps)
        return heatmaps, landmarks, self.radius(landmarks)


def target_heatmaps(landmarks: Tensor, height: int, width: int, sigma_px: float | Tensor) -> Tensor:
    """Gaussian bumps of height 1 at the landmarks.

    Args:
        landmarks: ``[N, C, 2]`` in heatmap pixels, pixel centres at x.5.
        height: heatmap pixels.
        width: heatmap pixels.
        sigma_px: standard deviation in heatmap pixels.

    Returns:
        ``[N, C, height, width]``.
    """
    x = torch.arange(width, device=landmarks.device) + 0.5
    y = torch.arange(height, device=landmarks.device) + 0.5
    across = torch.exp(-0.5 * ((x - landmarks[..., 0:1]) / sigma_px) ** 2)
    down = torch.exp(-0.5 * ((y - landmarks[..., 1:2]) / sigma_px) ** 2)
    return down[..., :, None] * across[..., None, :]


def fold_normalisation(network: Elg) -> Elg:
    """Fold every batch normalisation into its convolution, in place, for inference."""
    network.eval()
    for module in list(network.modules()):
        if isinstance(module, ConvNorm):
            convolution, norm = module[0], module[1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):  # else folded already
                module[0] = nn.utils.fusion.fuse_conv_bn_eval(convolution, norm)
                module[1] = nn.Identity()
    return network


__all__ = [
    "LANDMARK_COUNT",
    "Elg",
    "NetworkConfig",
    "SoftArgmax",
    "fold_normalisation",
    "target_heatmaps",
]
