"""The released YolactEdge, restated plainly from its description, with its checkpoints' names.

Nothing of mmext is used here: it is what the converted network is compared with. Object by object,
class by class; one image at a time.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
SCALES_PX, RATIOS = (24, 48, 96, 192, 384), (1.0, 0.5, 2.0)


def fill(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """Random weights that keep activations near 1."""
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
        if 'bn3.weight' in key or '.conv.3.weight' in key:
            values = values * 0.2
        state[key] = values
    return state


def convolve(state: State, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    weight = state[f'{name}.weight']
    groups = x.shape[1] // weight.shape[1]
    return F.conv2d(x, weight, state.get(f'{name}.bias'), stride, padding, groups=groups)


def normalize(state: State, name: str, x: Tensor) -> Tensor:
    statistics = (state[f'{name}.{kind}'] for kind in ('running_mean', 'running_var'))
    return F.batch_norm(x, *statistics, state[f'{name}.weight'], state[f'{name}.bias'])


def bottleneck(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    """Stride in the 3x3 convolution."""
    y = F.relu(normalize(state, f'{name}.bn1', convolve(state, f'{name}.conv1', x)))
    y = F.relu(normalize(state, f'{name}.bn2', convolve(state, f'{name}.conv2', y, stride, 1)))
    y = normalize(state, f'{name}.bn3', convolve(state, f'{name}.conv3', y))
    if f'{name}.downsample.0.weight' in state:
        x = convolve(state, f'{name}.downsample.0', x, stride)
        x = normalize(state, f'{name}.downsample.1', x)
    return F.relu(x + y)


def resnet(state: State, images: Tensor) -> list[Tensor]:
    """C3 to C5."""
    x = convolve(state, 'backbone.conv1', images, 2, 3)
    x = F.max_pool2d(F.relu(normalize(state, 'backbone.bn1', x)), 3, 2, 1)
    stages = []
    for stage in range(4):
        block = 0
        while f'backbone.layers.{stage}.{block}.conv1.weight' in state:
            stride = 2 if stage and not block else 1
            x = bottleneck(state, f'backbone.layers.{stage}.{block}', x, stride)
            block += 1
        stages.append(x)
    return stages[1:]


def mobilenet(state: State, images: Tensor) -> list[Tensor]:
    """The maps of 32, 64 and 160 channels; Sandler et al., 2018, table 2."""
    x = convolve(state, 'backbone.layers.0.0', images, 2, 1)
    x = F.relu6(normalize(state, 'backbone.layers.0.1', x))
    maps = {}
    for stage, stride in zip(range(1, 7), (1, 2, 2, 2, 1, 2), strict=True):
        block = 0
        while f'backbone.layers.{stage}.{block}.conv.0.0.weight' in state:
            name = f'backbone.layers.{stage}.{block}.conv'
            step, y = 0, x
            if stage > 1:
                y = F.relu6(normalize(state, f'{name}.0.1', convolve(state, f'{name}.0.0', y)))
                step = 1
            moved = stride if not block else 1
            y = convolve(state, f'{name}.{step}.0', y, moved, 1)
            y = F.relu6(normalize(state, f'{name}.{step}.1', y))
            y = normalize(state, f'{name}.{step + 2}', convolve(state, f'{name}.{step + 1}', y))
            x = x + y if moved == 1 and x.shape == y.shape else y
            block += 1
        maps[stage] = x
    return [maps[3], maps[4], maps[6]]


def pyramid(state: State, maps: list[Tensor]) -> list[Tensor]:
    """P3 to P7."""
    x, levels = 0, []
    for place, level in enumerate(reversed(maps)):  # C5 first
        lateral = convolve(state, f'fpn_phase_1.lat_layers.{place}', level)
        if place:
            x = F.interpolate(x, level.shape[2:], mode='bilinear', align_corners=False)
        x = lateral + x
        levels.append(F.relu(convolve(state, f'fpn_phase_2.pred_layers.{place}', x, 1, 1)))
    levels.reverse()
    for place in range(2):
        levels.append(convolve(state, f'fpn_phase_2.downsample_layers.{place}', levels[-1], 2, 1))
    return levels


def heads(state: State, levels: list[Tensor]) -> dict[str, Tensor]:
    """Class logits (background first), box deltas and coefficients of all anchors ``[P, ·]``."""
    outputs: dict[str, list[Tensor]] = {'conf': [], 'bbox': [], 'mask': []}
    for level in levels:
        shared = F.relu(convolve(state, 'prediction_layers.0.upfeature.0', level, 1, 1))
        for kind, parts in outputs.items():
            x = convolve(state, f'prediction_layers.0.{kind}_layer', shared, 1, 1)
            parts.append(x.permute(0, 2, 3, 1).reshape(-1, x.shape[1] // 3))
    joined = {kind: torch.cat(parts) for kind, parts in outputs.items()}
    joined['mask'] = joined['mask'].tanh()
    return joined


def prototypes(state: State, level: Tensor) -> Tensor:
    """``[h, w, 32]`` from P3."""
    x = level
    for place in (0, 2, 4):
        x = F.relu(convolve(state, f'proto_net.{place}', x, 1, 1))
    x = F.relu(F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False))
    x = F.relu(convolve(state, 'proto_net.8', x, 1, 1))
    return F.relu(convolve(state, 'proto_net.10', x))[0].permute(1, 2, 0)


def detect(
    outputs: dict[str, Tensor], sizes: list[tuple[int, int]], side: int
) -> list[tuple[float, int, list[float], Tensor]]:
    """Score, class (0-based), box relative to the image and coefficients, best first."""
    scores = outputs['conf'].softmax(1)[:, 1:]
    candidates = (scores.amax(1) > 0.05).nonzero().flatten().tolist()
    centers = [
        ((column + 0.5) / width, (row + 0.5) / height, scale / side * math.sqrt(ratio))
        for (height, width), scale in zip(sizes, SCALES_PX, strict=True)
        for row in range(height)
        for column in range(width)
        for ratio in RATIOS
    ]
    boxes = {}
    for anchor in candidates:
        x, y, size = centers[anchor]
        dx, dy, dw, dh = outputs['bbox'][anchor].tolist()
        x, y = x + dx * 0.1 * size, y + dy * 0.1 * size
        w, h = size * math.exp(dw * 0.2), size * math.exp(dh * 0.2)
        boxes[anchor] = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    found = []
    for label in range(scores.shape[1]):
        order = sorted(candidates, key=lambda a: -float(scores[a, label]))[:200]
        for place, anchor in enumerate(order):
            if all(_iou(boxes[a], boxes[anchor]) <= 0.5 for a in order[:place]):
                found.append((float(scores[anchor, label]), label, anchor))
    found.sort(key=lambda item: -item[0])
    return [(s, c, boxes[a], outputs['mask'][a]) for s, c, a in found[:100]]


def _iou(a: list[float], b: list[float]) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def mask_probabilities(
    maps: Tensor, coefficients: Tensor, box: list[float], size: tuple[int, int]
) -> Tensor:
    """The mask of one object at the size (height, width) of the image, before the threshold."""
    mask = torch.sigmoid(maps @ coefficients)
    height, width = mask.shape
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    x1, x2 = sorted((box[0] * width, box[2] * width))
    y1, y2 = sorted((box[1] * height, box[3] * height))
    inside = (columns >= max(x1 - 1, 0)) & (columns < min(x2 + 1, width))
    inside = inside & (rows >= max(y1 - 1, 0)) & (rows < min(y2 + 1, height))
    mask = (mask * inside)[None, None]
    return F.interpolate(mask, size, mode='bilinear', align_corners=False)[0, 0]
