"""Keypoint triplets against mmcv's and mmdet's corner code and against the published algorithms.

Poolings of 128 maps of 128 x 128; the test protocol from maps of an image and its flipped image to
detections; targets of 16 images of 30 objects. Before anything is timed, both sides must give
the same values. The published algorithms are restated here in a straightforward way.
"""

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from mmcv.ops import CornerPool, soft_nms
from mmdet.registry import MODELS as HOST_MODELS
from mmengine.registry import init_default_scope
from torch import Tensor
from torch.nn.functional import max_pool2d

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.centernet.directional_maximum import cross_maximum, directional_maximum
from mmext.centernet.triplet_decoding import (
    Detections,
    ImageWindows,
    TripletMaps,
    TripletTestSettings,
    decode_maps,
    detect,
    to_image_frame,
)
from mmext.centernet.triplet_targets import triplet_targets
from mmext.host import import_mmdet

CLASSES, K, PAIRS, KEPT = 80, 70, 1000, 100
MMCV, HOST, PUBLISHED = "mmcv's CornerPool", 'mmdet', 'the published algorithm'


def run(quick: bool) -> list[Row]:
    """Measures the parts."""
    import_mmdet()
    init_default_scope('mmdet')
    torch.manual_seed(0)
    side, repetitions = (64, 5) if quick else (128, 15)
    return [
        *_center_pool(side, repetitions),
        *_corner_pool(side, repetitions),
        _decoding(side, repetitions),
        *_targets(4 if quick else 16, side, repetitions),
    ]


def _center_pool(side: int, repetitions: int) -> list[Row]:
    """The maximum of the column plus that of the row, of one image."""
    columns, rows = torch.randn(2, 1, 128, side, side).unbind()
    pools = {name: CornerPool(name) for name in ('top', 'bottom', 'left', 'right')}

    def mmcv(a: Tensor, b: Tensor) -> Tensor:
        down = pools['bottom'](pools['top'](a))
        return down + pools['right'](pools['left'](b))

    assert torch.equal(cross_maximum(columns, rows), mmcv(columns, rows))
    what = f'centre pooling, 128x{side}x{side}'
    forward = {'ours': lambda: cross_maximum(columns, rows), MMCV: lambda: mmcv(columns, rows)}
    both = {
        'ours': _with_gradient(cross_maximum, columns, rows),
        MMCV: _with_gradient(mmcv, columns, rows),
    }
    for actual, expected in zip(both['ours'](), both[MMCV](), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)
    return [
        *_rows(f'{what}, forward', forward, repetitions, 30.0),
        *_rows(f'{what}, forward and backward', both, repetitions, None),
    ]


def _corner_pool(side: int, repetitions: int) -> list[Row]:
    """Both poolings of a top-left corner, of one image."""
    features = torch.randn(1, 128, side, side)
    top, left = CornerPool('top'), CornerPool('left')

    def ours(x: Tensor) -> Tensor:
        return directional_maximum(directional_maximum(x, 'top'), 'left')

    def mmcv(x: Tensor) -> Tensor:
        result: Tensor = left(top(x))
        return result

    assert torch.equal(ours(features), mmcv(features))
    what = f'corner pooling, 128x{side}x{side}'
    both = {'ours': _with_gradient(ours, features), MMCV: _with_gradient(mmcv, features)}
    torch.testing.assert_close(both['ours']()[0], both[MMCV]()[0], rtol=1e-4, atol=1e-3)
    forward = {'ours': lambda: ours(features), MMCV: lambda: mmcv(features)}
    return [
        *_rows(f'{what}, forward', forward, repetitions, None),
        *_rows(f'{what}, forward and backward', both, repetitions, None),
    ]


def _with_gradient(function: Callable[..., Tensor], *inputs: Tensor) -> Callable[[], Any]:
    leaves = [x.clone().requires_grad_() for x in inputs]
    weights = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(0))
    return lambda: torch.autograd.grad(function(*leaves), leaves, weights)


def _decoding(side: int, repetitions: int) -> Row:
    """The whole test protocol of one image, from maps to detections."""
    size = 4 * side - 1
    maps = _maps_of_objects(side, size)
    settings = TripletTestSettings(K, 0.5, PAIRS, KEPT)
    views = ImageWindows(*(torch.tensor([[float(v)] * 2]) for v in (0, size, 1)))
    cell = size / side

    def ours() -> Detections:
        pairs, centers = decode_maps(maps, settings, flipped=True)
        return detect(*to_image_frame(pairs, centers, views, (cell, cell)), settings)

    def published() -> np.ndarray:
        return _published_protocol(maps, size)

    found, expected = ours(), published()
    kept = found.scores[0] > -math.inf
    rows = torch.cat([found.boxes[0], found.scores[0, :, None], found.labels[0, :, None]], 1)[kept]
    _check_alike(rows.double(), torch.from_numpy(expected))
    what = f'test protocol of an image and its flipped image, {CLASSES}x{side}x{side}'
    return _rows(what, {'ours': ours, PUBLISHED: published}, repetitions, 5.0)[0]


def _check_alike(found: Tensor, expected: Tensor) -> None:
    """Each row of one side, x1 y1 x2 y2 score label, is a row of the other, in whatever order.

    Not the rows that soft-NMS leaves next to its threshold of 0.001: a bit more and they are gone.
    """
    assert len(found) > 30, len(found)
    for rows, others in ((found, expected), (expected, found)):
        distances = (rows[rows[:, 4] > 2e-3, None] - others).abs() / (1e-3 + 1e-4 * others.abs())
        assert distances.amax(2).amin(1).max() <= 1, 'other detections'


def _maps_of_objects(side: int, size: int) -> TripletMaps:
    """Maps of a good network: key points of 40 objects above a noisy ground, in two views."""
    corners = torch.rand(40, 2) * 0.6 * size
    boxes = torch.cat([corners, corners + 20 + torch.rand(40, 2) * 0.35 * size], 1)
    boxes[:, 2:].clamp_(max=size - 1)
    labels = torch.randint(CLASSES, (40,))
    mirrored = boxes[:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1, -1, 1])
    mirrored = mirrored + torch.tensor([size, 0, size, 0])
    targets = triplet_targets(
        [boxes, mirrored], [labels, labels], CLASSES, (side, side), (size, size)
    )
    tags, offsets, heats = [], [], []
    for kind in targets[:3]:
        noise = torch.randn(2, CLASSES, side, side)
        heats.append((kind.heatmap.to_dense() - 0.5) * 6 + noise)
        tag, offset = 5 * torch.randn(2, 1, side, side), torch.rand(2, 2, side, side)
        for view in range(2):
            tag[view].view(-1)[kind.cells[view]] = torch.arange(40.0)
            offset[view].flatten(1)[:, kind.cells[view]] = kind.offsets[view].T
        tags.append(tag)
        offsets.append(offset)
    return TripletMaps(*heats, *tags[:2], *offsets)


def _published_protocol(maps: TripletMaps, size: int) -> np.ndarray:
    """As released: maps on the device, the rest in numpy, classes one after the other."""
    side = maps.center_heat.shape[3]
    detections, centers = (rows.numpy().copy() for rows in _published_decoding(maps))
    detections[1, :, [0, 2]] = side - detections[1][:, [2, 0]].T
    centers[1, :, 0] = side - centers[1, :, 0]
    rows: np.ndarray = detections.reshape(-1, 8)
    points: np.ndarray = centers.reshape(-1, 4)
    rows[:, :4] *= size / side
    points[:, :2] *= size / side
    out = (rows[:, :2] <= -5).any(1) | (rows[:, 2:4] >= size + 5).any(1)
    rows[out, 4] = -1
    np.clip(rows[:, :4], 0, size, out=rows[:, :4])
    np.clip(points[:, :2], 0, size, out=points[:, :2])
    rows = rows[rows[:, 4] > -1]
    areas = (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])
    groups = [
        _published_check(rows[areas <= 22500], points, 3),
        _published_check(rows[areas > 22500], points, 5),
    ]
    rows = np.concatenate(groups)
    kept = []
    for label in range(CLASSES):
        mine = torch.from_numpy(rows[rows[:, 7] == label])
        if len(mine):
            boxes, scores = mine[:, :4].contiguous(), mine[:, 4].contiguous()
            dets, _ = soft_nms(boxes, scores, 0.5, 0.5, 1e-3, 'gaussian', 1)
            kept.append(np.column_stack([dets.numpy(), np.full(len(dets), label)]))
    every = np.concatenate(kept)
    return every[np.argsort(-every[:, 4], kind='stable')][:KEPT].astype(np.float64)


def _published_decoding(maps: TripletMaps) -> tuple[Tensor, Tensor]:
    """Rows x1 y1 x2 y2 score tl br class of both views, and centres x y class score."""
    points = []
    for kind in ('top_left', 'bottom_right', 'center'):
        heat = getattr(maps, f'{kind}_heat').sigmoid()
        heat = heat * (max_pool2d(heat, 3, 1, 1) == heat).float()
        batch, _, height, width = heat.shape
        scores, index = heat.view(batch, -1).topk(K)
        labels, cells = index // (height * width), index % (height * width)
        offset = _at(getattr(maps, f'{kind}_offset'), cells)
        place = torch.stack([cells % width, cells // width], 2) + offset
        points.append((place, scores, labels, cells))
    (first, score1, label1, cell1), (second, score2, label2, cell2), center = points
    tags1, tags2 = _at(maps.top_left_tag, cell1), _at(maps.bottom_right_tag, cell2)
    first = first[:, :, None].expand(-1, -1, K, -1)
    second = second[:, None].expand(-1, K, -1, -1)
    scores = (score1[:, :, None] + score2[:, None]) / 2
    scores[label1[:, :, None] != label2[:, None]] = -1
    scores[(tags1 - tags2.transpose(1, 2)).abs() > 0.5] = -1
    scores[(second[..., 0] < first[..., 0]) | (second[..., 1] < first[..., 1])] = -1
    scores, index = scores.flatten(1).topk(PAIRS)
    columns = [first[..., 0], first[..., 1], second[..., 0], second[..., 1]]
    columns += [score1[:, :, None].expand(-1, -1, K), score2[:, None].expand(-1, K, -1)]
    columns += [label1[:, :, None].expand(-1, -1, K).float()]
    picked = [column.flatten(1).gather(1, index) for column in columns]
    rows = torch.stack([*picked[:4], scores, *picked[4:]], 2)
    centers = torch.cat([center[0], center[2][..., None].float(), center[1][..., None]], 2)
    return rows, centers


def _at(features: Tensor, cells: Tensor) -> Tensor:
    """[B, C, H, W] at cells [B, K]: [B, K, C]."""
    flat = features.permute(0, 2, 3, 1).flatten(1, 2)
    return flat.gather(1, cells[..., None].expand(-1, -1, flat.shape[2]))


def _published_check(rows: np.ndarray, points: np.ndarray, n: int) -> np.ndarray:
    """Rows with a centre of their class in the middle, scored by all three."""
    first = ((n + 1) * rows[:, :2] + (n - 1) * rows[:, 2:4]) / (2 * n)
    last = ((n - 1) * rows[:, :2] + (n + 1) * rows[:, 2:4]) / (2 * n)
    inside = (points[:, None, :2] > first[None]).all(2) & (points[:, None, :2] < last[None]).all(2)
    inside &= points[:, None, 2] == rows[None, :, 7]
    confirmed = inside.any(0)
    rows = rows[confirmed].copy()
    rows[:, 4] = (2 * rows[:, 4] + points[inside.argmax(0)[confirmed], 3]) / 3
    return rows


def _targets(images: int, side: int, repetitions: int) -> list[Row]:
    """From boxes to what the losses compare with; mmdet's has no centres."""
    size = 4 * side
    boxes, labels = [], []
    for _ in range(images):
        # sizes of whole cells: mmdet rounds them up before it solves for the radius
        corners = torch.randint(int(9 * size), (30, 2)) / 16
        cells = torch.randint(2, int(0.4 * side), (30, 2))
        boxes.append(torch.cat([corners, corners + 4 * cells], 1))
        labels.append(torch.randint(CLASSES, (30,)))
    head = HOST_MODELS.build(dict(type='CornerHead', num_classes=CLASSES, in_channels=8))
    feature_shape = (images, CLASSES, side, side)

    def ours(mode: Any = 'official', overlap: float = 0.7) -> Any:
        shapes = ((side, side), (size, size))
        return triplet_targets(boxes, labels, CLASSES, *shapes, mode, overlap)

    def host() -> dict[str, Tensor]:
        arguments = (boxes, labels, feature_shape, (size, size))
        targets: dict[str, Tensor] = head.get_targets(*arguments, with_corner_emb=True)
        return targets

    def published() -> np.ndarray:
        return _published_heatmaps(boxes, labels, side, size)

    theirs, expected = host(), published()
    for kind, target in enumerate(ours()[:3]):
        np.testing.assert_allclose(target.heatmap.to_dense(), expected[:, kind], rtol=0, atol=1e-6)
    exact = ours('exact', 0.3)
    for target, name in zip(exact[:2], ('topleft', 'bottomright'), strict=True):
        # a radius of exactly 3 may be 2.999... to one side: rarely, an object is drawn smaller
        differs = (target.heatmap.to_dense() - theirs[f'{name}_heatmap']).abs() > 1e-6
        assert differs.float().mean() < 1e-5
    what = f'targets, {images} images of 30 objects'
    functions: dict[str, Callable[[], object]] = {'ours': ours, PUBLISHED: published}
    rows = _rows(what, functions, repetitions, 8.0)
    functions = {'ours': lambda: ours('exact', 0.3), f"{HOST}'s two corners": host}
    return rows + _rows(what, functions, repetitions, 8.0)


def _published_heatmaps(
    boxes: list[Tensor], labels: list[Tensor], side: int, size: int
) -> np.ndarray:
    """Object by object, with numpy, as the released data set does: [B, 3, C, H, W]."""
    maps = np.zeros((len(boxes), 3, CLASSES, side, side), np.float32)
    for i, (image_boxes, image_labels) in enumerate(zip(boxes, labels, strict=True)):
        scaled = image_boxes.numpy() * (side / size)
        for (x1, y1, x2, y2), label in zip(scaled.tolist(), image_labels.tolist(), strict=True):
            radius = _published_radius(math.ceil(y2 - y1), math.ceil(x2 - x1))
            points = ((x1, y1), (x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2))
            for kind, (x, y) in enumerate(points):
                _stamp(maps[i, kind, label], int(x), int(y), radius, (6, 6, 5)[kind])
    return maps


def _stamp(plane: np.ndarray, x: int, y: int, radius: int, divisor: int) -> None:
    side = len(plane)
    steps = np.arange(-radius, radius + 1)
    sigma = (2 * radius + 1) / divisor
    bell = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * sigma * sigma))
    left, right = min(x, radius), min(side - x, radius + 1)
    top, bottom = min(y, radius), min(side - y, radius + 1)
    window = plane[y - top : y + bottom, x - left : x + right]
    cut = bell[radius - top : radius + bottom, radius - left : radius + right]
    np.maximum(window, cut, out=window)


def _published_radius(height: int, width: int, overlap: float = 0.7) -> int:
    total, rest = height + width, 1 - overlap
    equations = (
        (1.0, total, width * height * rest / (1 + overlap)),
        (4.0, 2 * total, rest * width * height),
        (4 * overlap, -2 * overlap * total, -rest * width * height),
    )
    return max(0, int(min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in equations)))


def _rows(
    what: str, functions: Mapping[str, Callable[[], object]], repetitions: int, aim: float | None
) -> list[Row]:
    """Ours, the first, against each of the others."""
    times = milliseconds_in_turn(functions, repetitions, warmup=2)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians.pop('ours')
    return [Row(what, name, ours, median, 'ms', aim) for name, median in medians.items()]
