"""The released UPSNet, restated plainly from its description, with the names of its checkpoints.

Nothing of mmext is used here: it is what the converted network is compared with.
"""

import torch
import torch.nn.functional as F
from mmcv.ops import deform_conv2d
from torch import Tensor

State = dict[str, Tensor]


def fill(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """Random weights that keep activations near 1; no two rows are alike."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if key.endswith('num_batches_tracked'):
            values = torch.tensor(3)
        elif key.endswith('running_var') or (len(shape) == 1 and key.endswith('weight')):
            values = 0.5 + values.abs() / 2
        elif len(shape) > 1:
            values *= (1.5 / values[0].numel()) ** 0.5
        if 'bn3.weight' in key or 'offset.' in key:
            values = values * 0.2  # deep stacks of large offsets amplify rounding
        state[key] = values
    return state


def convolve(state: State, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(x, state[f'{name}.weight'], state.get(f'{name}.bias'), stride, padding)


def normalise(state: State, name: str, x: Tensor) -> Tensor:
    statistics = (state[f'{name}.{kind}'] for kind in ('running_mean', 'running_var'))
    return F.batch_norm(x, *statistics, state[f'{name}.weight'], state[f'{name}.bias'])


def deform(state: State, weight: str, offset: str, x: Tensor) -> Tensor:
    return deform_conv2d(x, convolve(state, offset, x, padding=1), state[f'{weight}.weight'], 1, 1)


def bottleneck(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    """Stride on the first 1x1 convolution, as in Caffe."""
    y = F.relu(normalise(state, f'{name}.bn1', convolve(state, f'{name}.conv1', x, stride)))
    if f'{name}.conv2_offset.weight' in state:
        y = deform(state, f'{name}.conv2', f'{name}.conv2_offset', y)
    else:
        y = convolve(state, f'{name}.conv2', y, padding=1)
    y = F.relu(normalise(state, f'{name}.bn2', y))
    y = normalise(state, f'{name}.bn3', convolve(state, f'{name}.conv3', y))
    if f'{name}.downsample.0.weight' in state:
        x = convolve(state, f'{name}.downsample.0', x, stride)
        x = normalise(state, f'{name}.downsample.1', x)
    return F.relu(x + y)


def backbone(state: State, images: Tensor) -> list[Tensor]:
    """Res2 to res5."""
    root = 'resnet_backbone.conv1'
    x = convolve(state, f'{root}.conv1', images, 2, 3)
    x = F.max_pool2d(F.relu(normalise(state, f'{root}.bn1', x)), 3, 2, 1)
    stages = []
    for stage in range(2, 6):
        layer = 0
        while f'resnet_backbone.res{stage}.layers.{layer}.conv1.weight' in state:
            stride = 2 if stage > 2 and layer == 0 else 1
            x = bottleneck(state, f'resnet_backbone.res{stage}.layers.{layer}', x, stride)
            layer += 1
        stages.append(x)
    return stages


def pyramid(state: State, stages: list[Tensor]) -> list[Tensor]:
    """P2 to P6; with the global context of COCO's models."""
    top = convolve(state, 'fpn.fpn_p5_1x1', stages[3])
    if 'fpn.fpn_gap.weight' in state:
        mean = F.adaptive_avg_pool2d(stages[3], 1).flatten(1)
        context = F.linear(mean, state['fpn.fpn_gap.weight'], state['fpn.fpn_gap.bias'])
        top = top + context.view(*context.shape, 1, 1)
    laterals = {5: top}
    for level in (4, 3, 2):
        doubled = laterals[level + 1].repeat_interleave(2, -1).repeat_interleave(2, -2)
        laterals[level] = doubled + convolve(state, f'fpn.fpn_p{level}_1x1', stages[level - 2])
    levels = [convolve(state, f'fpn.fpn_p{n}', laterals[n], padding=1) for n in (2, 3, 4, 5)]
    return [*levels, levels[-1][..., ::2, ::2]]


def proposals(state: State, levels: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Objectness [N, 3, h, w] and deltas [N, 12, h, w] of every level."""
    hidden = [F.relu(convolve(state, 'rpn.conv_proposal.0', x, padding=1)) for x in levels]
    return [
        (convolve(state, 'rpn.cls_score', x), convolve(state, 'rpn.bbox_pred', x)) for x in hidden
    ]


def box_branch(state: State, rois: Tensor) -> tuple[Tensor, Tensor]:
    """[n, 256, 7, 7] -> logits [n, 1 + T] and deltas [n, 1 + T, 4], background first."""
    x = rois.flatten(1)
    for name in ('fc6', 'fc7'):
        x = F.relu(F.linear(x, state[f'rcnn.{name}.0.weight'], state[f'rcnn.{name}.0.bias']))
    logits, deltas = (
        F.linear(x, state[f'rcnn.{name}.weight'], state[f'rcnn.{name}.bias'])
        for name in ('cls_score', 'bbox_pred')
    )
    return logits, deltas.view(len(x), -1, 4)


def mask_branch(state: State, rois: Tensor) -> Tensor:
    """[n, 256, 14, 14] -> logits [n, 1 + T, 28, 28], background first."""
    for number in range(1, 5):
        rois = F.relu(convolve(state, f'mask_branch.mask_conv{number}.0', rois, padding=1))
    name = 'mask_branch.mask_deconv1.0'
    x = F.conv_transpose2d(rois, state[f'{name}.weight'], state[f'{name}.bias'], stride=2)
    return convolve(state, 'mask_branch.mask_score', F.relu(x))


def semantic(state: State, levels: list[Tensor]) -> Tensor:
    """Logits [N, C, h, w], stuff before things."""
    size, maps = levels[0].shape[-2:], []
    for x in levels[:4]:
        layer = 0
        while f'fcn_head.fcn_subnet.conv.{layer}.0.conv.weight' in state:
            name = f'fcn_head.fcn_subnet.conv.{layer}.0'
            x = deform(state, f'{name}.conv', f'{name}.conv_offset', x)
            x = F.relu(x + state[f'{name}.conv.bias'].view(-1, 1, 1))
            layer += 1
        maps.append(F.interpolate(x, size, mode='bilinear', align_corners=False))
    return convolve(state, 'fcn_head.score', torch.cat(maps, 1))
