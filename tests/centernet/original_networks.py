"""The networks of the released objects as points, by the names of their checkpoints.

Each is written as a function of an image that asks for its weights by name; a weight
that is asked for the first time is drawn at random. So a forward pass leaves behind
a checkpoint as the originals wrote it, and its outputs.
"""

import torch
from mmcv.ops import modulated_deform_conv2d
from torch import Tensor
from torch.nn import functional as F

HEADS = dict(hm=80, wh=2, reg=2)
POSE_HEADS = dict(hm=1, wh=2, hps=34, reg=2, hm_hp=17, hp_offset=2)


class Weights(dict[str, Tensor]):
    """Weights by name, and the layers that use them."""

    def draw(self, name: str, *shape: int) -> Tensor:
        if name not in self:
            fan_in = max(1, torch.Size(shape[1:]).numel())
            self[name] = torch.randn(shape) * (1.5 / fan_in) ** 0.5
        return self[name]

    def conv(
        self, name: str, x: Tensor, out: int, kernel: int, stride: int = 1, bias: bool = False
    ) -> Tensor:
        weight = self.draw(f'{name}.weight', out, x.shape[1], kernel, kernel)
        return F.conv2d(
            x, weight, self.draw(f'{name}.bias', out) if bias else None, stride, kernel // 2
        )

    def bn(self, name: str, x: Tensor) -> Tensor:
        channels = x.shape[1]
        if f'{name}.weight' not in self:
            self[f'{name}.weight'] = 1 + 0.2 * torch.randn(channels)
            self[f'{name}.bias'] = 0.2 * torch.randn(channels)
            self[f'{name}.running_mean'] = 0.1 * torch.randn(channels)
            self[f'{name}.running_var'] = 0.5 + torch.rand(channels)
            self[f'{name}.num_batches_tracked'] = torch.tensor(7)
        mean, var = self[f'{name}.running_mean'], self[f'{name}.running_var']
        return F.batch_norm(x, mean, var, self[f'{name}.weight'], self[f'{name}.bias'])

    def dcn(self, name: str, x: Tensor, out: int) -> Tensor:
        one, two, mask = self.conv(f'{name}.conv_offset_mask', x, 27, 3, bias=True).chunk(3, 1)
        weight, bias = self.draw(f'{name}.weight', out, x.shape[1], 3, 3), f'{name}.bias'
        offsets, mask = torch.cat([one, two], 1), mask.sigmoid()
        return modulated_deform_conv2d(
            x, offsets, mask, weight, self.draw(bias, out), 1, 1, 1, 1, 1
        )

    def deconv(self, name: str, x: Tensor, kernel: int, stride: int, groups: int = 1) -> Tensor:
        channels = x.shape[1]
        weight = self.draw(f'{name}.weight', channels, channels // groups, kernel, kernel)
        padding = (kernel - stride) // 2
        return F.conv_transpose2d(x, weight, None, stride, padding, groups=groups)

    def heads(self, x: Tensor, heads: dict[str, int], width: int) -> dict[str, Tensor]:
        return {
            name: self.conv(
                f'{name}.2',
                self.conv(f'{name}.0', x, width, 3, bias=True).relu(),
                out,
                1,
                bias=True,
            )
            for name, out in heads.items()
        }


def basic_block(
    w: Weights, name: str, x: Tensor, out: int, stride: int, shortcut: Tensor
) -> Tensor:
    y = w.bn(f'{name}.bn1', w.conv(f'{name}.conv1', x, out, 3, stride)).relu()
    return (w.bn(f'{name}.bn2', w.conv(f'{name}.conv2', y, out, 3)) + shortcut).relu()


def dla_tree(
    w: Weights,
    name: str,
    x: Tensor,
    out: int,
    depth: int,
    stride: int,
    level_root: bool,
    kids: list,
) -> Tensor:
    bottom = F.max_pool2d(x, stride, stride) if stride > 1 else x
    shortcut = bottom
    if x.shape[1] != out:
        shortcut = w.bn(f'{name}.project.1', w.conv(f'{name}.project.0', bottom, out, 1))
    kids = [*kids, bottom] if level_root else kids
    if depth == 1:
        one = basic_block(w, f'{name}.tree1', x, out, stride, shortcut)
        two = basic_block(w, f'{name}.tree2', one, out, 1, one)
        joined = torch.cat([two, one, *kids], 1)
        return w.bn(f'{name}.root.bn', w.conv(f'{name}.root.conv', joined, out, 1)).relu()
    one = dla_tree(w, f'{name}.tree1', x, out, depth - 1, stride, False, [])
    return dla_tree(w, f'{name}.tree2', one, out, depth - 1, 1, False, [*kids, one])


def ida(w: Weights, name: str, layers: list[Tensor], start: int, end: int, factors: list) -> None:
    """In place, as the original."""
    out = layers[start].shape[1]
    for i in range(start + 1, end):
        number, factor = i - start, factors[i - start]
        x = w.bn(
            f'{name}.proj_{number}.actf.0', w.dcn(f'{name}.proj_{number}.conv', layers[i], out)
        )
        x = w.deconv(f'{name}.up_{number}', x.relu(), 2 * factor, factor, out)
        x = w.dcn(f'{name}.node_{number}.conv', x + layers[i - 1], out)
        layers[i] = w.bn(f'{name}.node_{number}.actf.0', x).relu()


def dla34(w: Weights, image: Tensor, heads: dict[str, int], widths: tuple, width: int) -> dict:
    x = w.bn('base.base_layer.1', w.conv('base.base_layer.0', image, widths[0], 7)).relu()
    layers = []
    for level, (out, depth) in enumerate(zip(widths, (0, 0, 1, 2, 2, 1), strict=True)):
        name = f'base.level{level}'
        if level < 2:
            x = w.bn(f'{name}.1', w.conv(f'{name}.0', x, out, 3, level + 1)).relu()
        else:
            x = dla_tree(w, name, x, out, depth, 2, level > 2, [])
        layers.append(x)
    outs = [layers[-1]]
    for i in range(3):
        ida(w, f'dla_up.ida_{i}', layers, 4 - i, 6, [1] + [2] * (i + 1))
        outs.insert(0, layers[-1])
    merged = outs[:3]
    ida(w, 'ida_up', merged, 0, 3, [1, 2, 4])
    return w.heads(merged[-1], heads, width)


def resnet18_dcn(w: Weights, image: Tensor, heads: dict[str, int]) -> dict:
    x = w.bn('bn1', w.conv('conv1', image, 64, 7, 2)).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for layer, out in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name, stride = f'layer{layer}.{block}', 2 if layer > 1 and block == 0 else 1
            shortcut = x
            if stride > 1:
                shortcut = w.conv(f'{name}.downsample.0', x, out, 1, 2)
                shortcut = w.bn(f'{name}.downsample.1', shortcut)
            x = basic_block(w, name, x, out, stride, shortcut)
    for step, out in enumerate((256, 128, 64)):
        names = [f'deconv_layers.{6 * step + i}' for i in range(5)]
        x = w.bn(names[1], w.dcn(names[0], x, out)).relu()
        x = w.bn(names[4], w.deconv(names[3], x, 4, 2)).relu()
    return w.heads(x, heads, 64)


def residual(w: Weights, name: str, x: Tensor, out: int, stride: int = 1) -> Tensor:
    shortcut = x
    if stride > 1 or x.shape[1] != out:
        shortcut = w.bn(f'{name}.skip.1', w.conv(f'{name}.skip.0', x, out, 1, stride))
    return basic_block(w, name, x, out, stride, shortcut)


def residuals(w: Weights, name: str, x: Tensor, outs: list[int], stride: int = 1) -> Tensor:
    for i, out in enumerate(outs):
        x = residual(w, f'{name}.{i}', x, out, stride if i == 0 else 1)
    return x


def hourglass(w: Weights, name: str, x: Tensor, widths: list[int], blocks: list[int]) -> Tensor:
    here, below, n, n_below = widths[0], widths[1], blocks[0], blocks[1]
    up = residuals(w, f'{name}.up1', x, [here] * n)
    low = residuals(w, f'{name}.low1', x, [below] * n, 2)
    if len(widths) > 2:
        low = hourglass(w, f'{name}.low2', low, widths[1:], blocks[1:])
    else:
        low = residuals(w, f'{name}.low2', low, [below] * n_below)
    low = residuals(w, f'{name}.low3', low, [below] * (n - 1) + [here])
    return up + F.interpolate(low, scale_factor=2)


def hourglass104(
    w: Weights, image: Tensor, heads: dict[str, int], widths: list[int], stem: int
) -> list[dict]:
    x = w.bn('pre.0.bn', w.conv('pre.0.conv', image, stem, 7, 2)).relu()
    x = residual(w, 'pre.1', x, widths[0], 2)
    stacks, width = [], widths[0]
    for s in range(2):
        y = hourglass(w, f'kps.{s}', x, widths, [2, 2, 2, 2, 2, 4])
        y = w.bn(f'cnvs.{s}.bn', w.conv(f'cnvs.{s}.conv', y, width, 3)).relu()
        stacks.append(
            {
                head: w.conv(
                    f'{head}.{s}.1',
                    w.conv(f'{head}.{s}.0.conv', y, width, 3, bias=True).relu(),
                    out,
                    1,
                    bias=True,
                )
                for head, out in heads.items()
            }
        )
        if s == 0:
            before = w.bn('inters_.0.1', w.conv('inters_.0.0', x, width, 1))
            after = w.bn('cnvs_.0.1', w.conv('cnvs_.0.0', y, width, 1))
            x = residual(w, 'inters.0', (before + after).relu(), width)
    return stacks
