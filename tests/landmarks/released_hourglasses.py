"""The networks of three released codes, by the names of their checkpoints.

Each is a function of an image that asks for its weights by name, as in ``original_networks``.
"""

import torch
from original_networks import Weights
from torch import Tensor
from torch.nn import functional as F


def pytorch_pose(
    w: Weights, image: Tensor, points: int, stacks: int, width: int = 256, blocks: int = 1
) -> list[Tensor]:
    """Hg of pytorch-pose; ``width`` is that of its hourglasses."""

    def block(name: str, x: Tensor, out: int) -> Tensor:
        y = w.conv(f'{name}.conv1', w.bn(f'{name}.bn1', x).relu(), out // 2, 1, bias=True)
        y = w.conv(f'{name}.conv2', w.bn(f'{name}.bn2', y).relu(), out // 2, 3, bias=True)
        y = w.conv(f'{name}.conv3', w.bn(f'{name}.bn3', y).relu(), out, 1, bias=True)
        same = x.shape[1] == out
        return y + (x if same else w.conv(f'{name}.downsample.0', x, out, 1, bias=True))

    def several(name: str, x: Tensor) -> Tensor:
        for number in range(blocks):
            x = block(f'{name}.{number}', x, width)
        return x

    def hourglass(name: str, level: int, x: Tensor) -> Tensor:
        up = several(f'{name}.{level}.0', x)
        low = several(f'{name}.{level}.1', F.max_pool2d(x, 2))
        low = hourglass(name, level - 1, low) if level else several(f'{name}.0.3', low)
        low = several(f'{name}.{level}.2', low)
        return up + F.interpolate(low, scale_factor=2)

    x = w.bn('bn1', w.conv('conv1', image, width // 4, 7, 2, bias=True)).relu()
    x = F.max_pool2d(block('layer1.0', x, width // 2), 2)
    x = block('layer3.0', block('layer2.0', x, width), width)
    outputs = []
    for s in range(stacks):
        y = several(f'res.{s}', hourglass(f'hg.{s}.hg', 3, x))
        y = w.bn(f'fc.{s}.1', w.conv(f'fc.{s}.0', y, width, 1, bias=True)).relu()
        outputs.append(w.conv(f'score.{s}', y, points, 1, bias=True))
        if s < stacks - 1:
            x = x + w.conv(f'fc_.{s}', y, width, 1, bias=True)
            x = x + w.conv(f'score_.{s}', outputs[-1], width, 1, bias=True)
    return outputs


def princeton(
    w: Weights, image: Tensor, points: int, stacks: int, width: int = 256
) -> list[Tensor]:
    """PoseNet of princeton-vl; every residual owns a skip, used or not."""

    def conv(name: str, x: Tensor, out: int, kernel: int, stride: int = 1) -> Tensor:
        return w.conv(f'{name}.conv', x, out, kernel, stride, bias=True)

    def residual(name: str, x: Tensor, out: int) -> Tensor:
        skip = conv(f'{name}.skip_layer', x, out, 1)
        y = conv(f'{name}.conv1', w.bn(f'{name}.bn1', x).relu(), out // 2, 1)
        y = conv(f'{name}.conv2', w.bn(f'{name}.bn2', y).relu(), out // 2, 3)
        y = conv(f'{name}.conv3', w.bn(f'{name}.bn3', y).relu(), out, 1)
        return y + (skip if x.shape[1] != out else x)

    def hourglass(name: str, n: int, x: Tensor) -> Tensor:
        up = residual(f'{name}.up1', x, width)
        low = residual(f'{name}.low1', F.max_pool2d(x, 2), width)
        deeper = hourglass if n > 1 else lambda name, _, y: residual(name, y, width)
        low = residual(f'{name}.low3', deeper(f'{name}.low2', n - 1, low), width)
        return up + F.interpolate(low, scale_factor=2)

    x = w.bn('pre.0.bn', conv('pre.0', image, width // 4, 7, 2)).relu()
    x = F.max_pool2d(residual('pre.1', x, width // 2), 2)
    x = residual('pre.4', residual('pre.3', x, width // 2), width)
    outputs = []
    for s in range(stacks):
        y = residual(f'features.{s}.0', hourglass(f'hgs.{s}.0', 4, x), width)
        y = w.bn(f'features.{s}.1.bn', conv(f'features.{s}.1', y, width, 1)).relu()
        outputs.append(conv(f'outs.{s}', y, points, 1))
        if s < stacks - 1:
            x = x + conv(f'merge_preds.{s}.conv', outputs[-1], width, 1)
            x = x + conv(f'merge_features.{s}.conv', y, width, 1)
    return outputs


def fan(w: Weights, image: Tensor, points: int, stacks: int, width: int = 256) -> list[Tensor]:
    """FAN of face-alignment."""

    def block(name: str, x: Tensor, out: int) -> Tensor:
        first = w.conv(f'{name}.conv1', w.bn(f'{name}.bn1', x).relu(), out // 2, 3)
        second = w.conv(f'{name}.conv2', w.bn(f'{name}.bn2', first).relu(), out // 4, 3)
        third = w.conv(f'{name}.conv3', w.bn(f'{name}.bn3', second).relu(), out // 4, 3)
        if x.shape[1] != out:
            x = w.bn(f'{name}.downsample.0', x).relu()
            x = w.conv(f'{name}.downsample.2', x, out, 1)
        return x + torch.cat([first, second, third], 1)

    def hourglass(name: str, level: int, x: Tensor) -> Tensor:
        up = block(f'{name}.b1_{level}', x, width)
        low = block(f'{name}.b2_{level}', F.avg_pool2d(x, 2), width)
        low = (
            hourglass(name, level - 1, low) if level > 1 else block(f'{name}.b2_plus_1', low, width)
        )
        return up + F.interpolate(block(f'{name}.b3_{level}', low, width), scale_factor=2)

    x = w.bn('bn1', w.conv('conv1', image, width // 4, 7, 2, bias=True)).relu()
    x = F.avg_pool2d(block('conv2', x, width // 2), 2)
    x = block('conv4', block('conv3', x, width // 2), width)
    outputs = []
    for s in range(stacks):
        y = block(f'top_m_{s}', hourglass(f'm{s}', 4, x), width)
        y = w.bn(f'bn_end{s}', w.conv(f'conv_last{s}', y, width, 1, bias=True)).relu()
        outputs.append(w.conv(f'l{s}', y, points, 1, bias=True))
        if s < stacks - 1:
            x = x + w.conv(f'bl{s}', y, width, 1, bias=True)
            x = x + w.conv(f'al{s}', outputs[-1], width, 1, bias=True)
    return outputs
