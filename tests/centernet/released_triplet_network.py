"""Keypoint triplets written down plainly from the paper, with the names of the released weights.

Nothing of the package is used: the tests of the conversion compare its outputs with ours.
"""

import torch
from torch import Tensor, nn


class ConvBnRelu(nn.Module):
    def __init__(self, size: int, width_in: int, width_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            width_in, width_out, size, stride, padding=(size - 1) // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(width_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class ConvRelu(nn.Module):
    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu()


class Residual(nn.Module):
    def __init__(self, width_in: int, width_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.skip = nn.Sequential()
        if stride != 1 or width_in != width_out:
            self.skip = nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (inner + self.skip(x)).relu()


class Hourglass(nn.Module):
    def __init__(self, depth: int, widths: list[int], counts: list[int]) -> None:
        super().__init__()
        outer, inner, n = widths[0], widths[1], counts[0]
        self.up1 = nn.Sequential(*(Residual(outer, outer) for _ in range(n)))
        self.low1 = nn.Sequential(
            Residual(outer, inner, 2), *(Residual(inner, inner) for _ in range(n - 1))
        )
        if depth > 1:
            self.low2: nn.Module = Hourglass(depth - 1, widths[1:], counts[1:])
        else:
            self.low2 = nn.Sequential(*(Residual(inner, inner) for _ in range(counts[1])))
        self.low3 = nn.Sequential(
            *(Residual(inner, inner) for _ in range(n - 1)), Residual(inner, outer)
        )

    def forward(self, x: Tensor) -> Tensor:
        low = self.low3(self.low2(self.low1(x)))
        return self.up1(x) + low.repeat_interleave(2, 2).repeat_interleave(2, 3)


def look(x: Tensor, direction: str) -> Tensor:
    axis = 2 if direction in ('top', 'bottom') else 3
    if direction in ('bottom', 'right'):
        return x.cummax(axis).values
    return x.flip(axis).cummax(axis).values.flip(axis)


class Pool(nn.Module):
    """Pooling of a corner, with looks, or of the centre, without."""

    def __init__(self, width: int, inner: int, directions: list[str] | None) -> None:
        super().__init__()
        self.directions = directions
        self.p1_conv1 = ConvBnRelu(3, width, inner)
        self.p2_conv1 = ConvBnRelu(3, width, inner)
        self.p_conv1 = nn.Conv2d(inner, width, 3, padding=1, bias=False)
        self.p_bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = ConvBnRelu(3, width, width)
        if directions:
            self.look_conv1 = ConvBnRelu(3, width, inner)
            self.look_conv2 = ConvBnRelu(3, width, inner)
            self.P1_look_conv = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
            self.P2_look_conv = nn.Conv2d(inner, inner, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.p1_conv1(x), self.p2_conv1(x)
        if self.directions:
            vertical, horizontal = self.directions
            first = self.P1_look_conv(first + look(self.look_conv1(x), horizontal))
            second = self.P2_look_conv(second + look(self.look_conv2(x), vertical))
            pooled = look(first, vertical) + look(second, horizontal)
        else:
            pooled = look(look(first, 'top'), 'bottom') + look(look(second, 'left'), 'right')
        tail = self.p_bn1(self.p_conv1(pooled)) + self.bn1(self.conv1(x))
        return self.conv2(tail.relu())


class ReleasedTripletNetwork(nn.Module):
    """Maps of the last stack, in our order, from an image."""

    def __init__(
        self, stacks: int, depth: int, widths: list[int], counts: list[int], classes: int, pool: int
    ) -> None:
        super().__init__()
        width = widths[0]
        self.pre = nn.Sequential(ConvBnRelu(7, 3, width // 2, 2), Residual(width // 2, width, 2))
        self.kps = nn.ModuleList(Hourglass(depth, widths, counts) for _ in range(stacks))
        self.cnvs = nn.ModuleList(ConvBnRelu(3, width, width) for _ in range(stacks))
        directions = {'tl': ['top', 'left'], 'br': ['bottom', 'right'], 'ct': None}
        for kind, ways in directions.items():
            outputs = {'heats': classes, 'regrs': 2} | ({'tags': 1} if ways else {})
            pools = nn.ModuleList(Pool(width, pool, ways) for _ in range(stacks))
            setattr(self, f'{kind}_cnvs', pools)
            for name, channels in outputs.items():
                branches = nn.ModuleList(
                    nn.Sequential(ConvRelu(width, width), nn.Conv2d(width, channels, 1))
                    for _ in range(stacks)
                )
                setattr(self, f'{kind}_{name}', branches)
        self.inters = nn.ModuleList(Residual(width, width) for _ in range(stacks - 1))
        between = [
            nn.ModuleList(
                nn.Sequential(nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))
                for _ in range(stacks - 1)
            )
            for _ in range(2)
        ]
        self.inters_, self.cnvs_ = between

    def forward(self, images: Tensor) -> list[list[Tensor]]:
        x, outputs = self.pre(images), []
        for stack, (hourglass, conv) in enumerate(zip(self.kps, self.cnvs, strict=True)):
            features = conv(hourglass(x))
            outputs.append(self._maps(features, stack))
            if stack < len(self.inters):
                x = (self.inters_[stack](x) + self.cnvs_[stack](features)).relu()
                x = self.inters[stack](x)
        return outputs

    def _maps(self, features: Tensor, stack: int) -> list[Tensor]:
        pooled = {k: getattr(self, f'{k}_cnvs')[stack](features) for k in ('tl', 'br', 'ct')}
        order = ('tl_heats', 'br_heats', 'ct_heats', 'tl_tags', 'br_tags')
        order += ('tl_regrs', 'br_regrs', 'ct_regrs')
        return [getattr(self, name)[stack](pooled[name[:2]]) for name in order]


def fill_randomly(network: nn.Module, seed: int) -> None:
    """Weights and running statistics that matter, without the outputs growing out of hand."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in network.state_dict().items():
        if key.endswith('num_batches_tracked'):
            value.fill_(seed + 1)
        elif key.endswith('running_var'):
            value.uniform_(0.5, 2, generator=generator)
        elif value.dim() == 4:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        else:
            value.uniform_(-0.5, 1, generator=generator)
