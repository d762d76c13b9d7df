"""Objects as points against mmdet's CenterNet and against the published algorithms.

Parts: decoding of 80 heat-maps of 128 x 128, targets of 16 images of 30 objects, alone and
with the focal loss. Whole: inference and a training iteration of CenterNet on ResNet-18 with
deformable convolutions, the same weights in both models. Before anything is timed, both sides
must give the same values. The published algorithms are restated here in a straightforward way.
"""

import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS as HOST_MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.centernet.point_decoding import decode_points
from mmext.centernet.point_targets import point_targets
from mmext.functional.gaussian_focal_loss import gaussian_focal_loss
from mmext.host import import_mmdet
from mmext.registry import MODELS

CLASSES, K = 80, 100
HOST, PUBLISHED = 'mmdet', 'the published algorithm'


def run(quick: bool) -> list[Row]:
    """Measures the parts and the whole."""
    import_mmdet()
    init_default_scope('mmdet')
    torch.manual_seed(0)
    size, repetitions = (256, 3) if quick else (512, 7)
    parts = 5 if quick else 15
    return [
        *_decoding(size // 4, parts),
        *_targets(4 if quick else 16, size, parts),
        _inference(size, repetitions),
        _training(size, 2 if quick else 4, repetitions),
    ]


def _decoding(side: int, repetitions: int) -> list[Row]:
    """From logits to boxes of one image."""
    head = _host_head()
    # sparse sharp peaks on a noisy ground, as a trained network has; so far apart that no rounding
    # puts them in another order
    logits = torch.randn(1, CLASSES, side, side) - 6
    logits.view(-1)[torch.randperm(logits.numel())[:400]] = torch.linspace(0, 4, 400)
    sizes, offsets = 20 * torch.rand(1, 2, side, side), torch.rand(1, 2, side, side)
    image = (4 * side, 4 * side)

    def ours() -> tuple[Tensor, Tensor, Tensor]:
        found = decode_points(logits, sizes, offsets, K)
        return found.boxes * 4, found.scores, found.labels

    def host() -> tuple[Tensor, Tensor, Tensor]:
        rows, labels = head._decode_heatmap(logits.sigmoid(), sizes, offsets, image, k=K)
        return rows[..., :4], rows[..., 4], labels

    def published() -> tuple[Tensor, Tensor, Tensor]:
        return _published_decoding(logits, sizes, offsets)

    for other in (host(), published()):
        for found, expected in zip(ours(), other, strict=True):
            torch.testing.assert_close(found, expected.to(found.dtype), rtol=1e-5, atol=1e-4)
    what = f'decoding, {CLASSES}x{side}x{side}'
    return _rows(what, {'ours': ours, HOST: host, PUBLISHED: published}, repetitions, 5.0)


def _published_decoding(
    logits: Tensor, sizes: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Pool and mask all scores; the best K of each class, then of all."""
    scores = logits.sigmoid()
    scores = scores * (max_pool2d(scores, 3, 1, 1) == scores).float()
    batch, classes, _, width = scores.shape
    by_class, cells = scores.view(batch, classes, -1).topk(K)
    best, order = by_class.view(batch, -1).topk(K)
    labels = order // K
    cells = cells.view(batch, -1).gather(1, order)[..., None].expand(-1, -1, 2)
    at = [m.permute(0, 2, 3, 1).reshape(batch, -1, 2).gather(1, cells) for m in (sizes, offsets)]
    centers = torch.cat([cells[..., :1] % width, cells[..., :1] // width], 2) + at[1]
    boxes = torch.cat([centers - at[0] / 2, centers + at[0] / 2], 2)
    return boxes * 4, best, labels


def _targets(images: int, size: int, repetitions: int) -> list[Row]:
    """From boxes to what the losses compare with."""
    truths = [_truth(size, 30) for _ in range(images)]
    boxes, labels = [t.bboxes for t in truths], [t.labels for t in truths]
    side, head = size // 4, _host_head()
    shape = (images, CLASSES, side, side)

    def ours(mode: Any = 'exact', overlap: float = 0.3) -> Any:
        return point_targets(boxes, labels, CLASSES, (side, side), (size, size), mode, overlap)

    def host() -> dict[str, Tensor]:
        targets: dict[str, Tensor] = head.get_targets(boxes, labels, shape, (size, size))[0]
        return targets

    def published() -> Tensor:
        return _published_heatmaps(boxes, labels, side)

    found, expected = ours(), host()
    maps = found.heatmap.to_dense()
    torch.testing.assert_close(maps, expected['center_heatmap_target'], rtol=0, atol=1e-6)
    maps = ours('official', 0.7).heatmap.to_dense()
    torch.testing.assert_close(maps, published(), rtol=0, atol=1e-6)
    what = f'targets, {images} images of 30 objects'
    rows = _rows(what, {'ours': ours, HOST: host}, repetitions, 8.0)
    functions = {'ours': lambda: ours('official', 0.7), PUBLISHED: published}
    rows += _rows(what, functions, repetitions, 8.0)
    # ours are lists of cells, theirs whole maps, which the loss has to read
    logits = (torch.randn(shape) - 3).requires_grad_()

    def with_loss(function: Callable[[Tensor, Any], Tensor], targets: Callable[[], Any]) -> Any:
        def step() -> tuple[Tensor, Tensor]:
            loss = function(logits, targets())
            return loss.detach(), torch.autograd.grad(loss, logits)[0]

        return step

    functions = {
        'ours': with_loss(gaussian_focal_loss, lambda: ours('official', 0.7).heatmap),
        PUBLISHED: with_loss(_published_loss, published),
    }
    for mine, theirs in zip(*(step() for step in functions.values()), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)
    what += ', and the focal loss with its gradient'
    return rows + _rows(what, functions, max(3, repetitions // 3), None)


def _published_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Map by map, from clamped probabilities."""
    probs = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    is_positive = targets.eq(1).float()
    positive = (probs.log() * (1 - probs) ** 2 * is_positive).sum()
    weights = (1 - targets) ** 4 * (1 - is_positive)
    negative = ((1 - probs).log() * probs**2 * weights).sum()
    return -(positive + negative) / is_positive.sum()


def _published_heatmaps(boxes: list[Tensor], labels: list[Tensor], side: int) -> Tensor:
    """Object by object, with numpy, as the released data set does in its workers."""
    maps = np.zeros((len(boxes), CLASSES, side, side), np.float32)
    for i, (image_boxes, image_labels) in enumerate(zip(boxes, labels, strict=True)):
        for box, label in zip(image_boxes.numpy() / 4, image_labels.tolist(), strict=True):
            x1, y1, x2, y2 = (float(v) for v in box)
            radius = _published_radius(math.ceil(y2 - y1), math.ceil(x2 - x1))
            x, y = int((x1 + x2) / 2), int((y1 + y2) / 2)
            steps = np.arange(-radius, radius + 1)
            sigma = (2 * radius + 1) / 6
            bell = np.exp(-(steps[:, None] ** 2 + steps**2) / (2 * sigma * sigma))
            left, right = min(x, radius), min(side - x, radius + 1)
            top, bottom = min(y, radius), min(side - y, radius + 1)
            window = maps[i, label, y - top : y + bottom, x - left : x + right]
            cut = bell[radius - top : radius + bottom, radius - left : radius + right]
            np.maximum(window, cut, out=window)
    return torch.from_numpy(maps)


def _published_radius(height: int, width: int, overlap: float = 0.7) -> int:
    total, rest = height + width, 1 - overlap
    equations = (
        (1.0, total, width * height * rest / (1 + overlap)),
        (4.0, 2 * total, rest * width * height),
        (4 * overlap, -2 * overlap * total, -rest * width * height),
    )
    return max(0, int(min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in equations)))


def _inference(size: int, repetitions: int) -> Row:
    """Images in, detections out."""
    host, ours = _models()
    images = torch.randn(1, 3, size, size)

    def predict(model: Any) -> Any:
        with torch.inference_mode():
            return model.predict(images, [_sample(size)])[0].pred_instances

    # the maps: which of two cells of almost one score is detected hangs on the last bit
    with torch.inference_mode():
        ((maps,),) = ours.bbox_head(ours.extract_feat(images))
        (center,), (sizes,), (offsets,) = host.bbox_head(host.extract_feat(images))
    expected = dict(center=center, size=sizes, offset=offsets)
    for name, found in maps.items():
        found = found.sigmoid() if name == 'center' else found
        torch.testing.assert_close(found, expected[name], rtol=1e-3, atol=1e-4)
    functions = {'ours': lambda: predict(ours), HOST: lambda: predict(host)}
    what = f'inference of CenterNet, ResNet-18 with DCN, {size}x{size}'
    return _rows(what, functions, repetitions, 1.15)[0]


def _training(size: int, images: int, repetitions: int) -> Row:
    """Forward, losses, backward, step."""
    models = dict(zip((HOST, 'ours'), _models(), strict=True))
    inputs = torch.randn(images, 3, size, size)
    samples = [_sample(size, _truth(size, 10)) for _ in range(images)]
    functions = {name: _stepper(model, inputs, samples) for name, model in models.items()}
    first = {name: step() for name, step in functions.items()}
    torch.testing.assert_close(first['ours'], first[HOST], rtol=1e-3, atol=1e-3)
    what = f'training iteration of CenterNet, ResNet-18 with DCN, {images}x{size}x{size}'
    return _rows(what, functions, repetitions, 1.0)[0]


def _stepper(model: Any, inputs: Tensor, samples: list[DetDataSample]) -> Callable[[], Tensor]:
    """A function that trains for one iteration and returns the loss."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = torch.stack(list(model.loss(inputs, samples).values())).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _models() -> tuple[Any, Any]:
    """The host's model and ours, with the same weights and offsets that are not 0."""
    backbone = dict(type='ResNet', depth=18, norm_eval=False)
    host = HOST_MODELS.build(
        ConfigDict(
            type='CenterNet',
            backbone=backbone,
            neck=dict(
                type='CTResNetNeck',
                in_channels=512,
                num_deconv_filters=(256, 128, 64),
                num_deconv_kernels=(4, 4, 4),
            ),
            bbox_head=_host_head_config(),
            test_cfg=dict(topk=K, local_maximum_kernel=3, max_per_img=K),
        )
    )
    ours = MODELS.build(
        dict(
            type='mmext.CenterNetPointDetector',
            backbone=backbone,
            neck=dict(type='mmext.CenterNetDeconvNeck'),
            bbox_head=dict(
                type='mmext.CenterNetPointHead',
                num_classes=CLASSES,
                in_channels=64,
                feat_channels=64,
                radius_mode='exact',
                min_overlap=0.3,
            ),
            test_cfg=dict(topk=K, local_maximum_kernel=3, max_per_img=K),
        )
    )
    host.init_weights()
    for module in host.modules():
        if hasattr(module, 'conv_offset'):
            nn.init.normal_(module.conv_offset.weight, std=0.02)
    nn.init.normal_(host.bbox_head.heatmap_head[-1].weight, std=0.5)  # scores that differ
    ours.load_state_dict(_as_ours(host.state_dict(), ours.state_dict()))
    return host.eval(), ours.eval()


def _as_ours(weights: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The host's weights under our names; it has no biases before its normalisations."""
    renamed = {key: torch.zeros_like(value) for key, value in own.items()}
    for key, value in weights.items():
        name = key
        for step in range(3):
            old = f'neck.deconv_layers.{2 * step}'
            name = name.replace(f'{old}.conv.', f'neck.steps.{step}.conv.0.')
            name = name.replace(f'{old}.bn.', f'neck.steps.{step}.conv.1.')
            name = name.replace(f'neck.deconv_layers.{2 * step + 1}.', f'neck.steps.{step}.up.')
        for old, new in (('heatmap', 'center'), ('wh', 'size'), ('offset', 'offset')):
            name = name.replace(f'bbox_head.{old}_head.', f'bbox_head.stacks.0.{new}.')
        renamed[name] = value
    return renamed


def _host_head_config() -> dict[str, Any]:
    return dict(
        type='CenterNetHead',
        num_classes=CLASSES,
        in_channels=64,
        feat_channels=64,
        loss_center_heatmap=dict(type='GaussianFocalLoss', loss_weight=1.0),
        loss_wh=dict(type='L1Loss', loss_weight=0.1),
        loss_offset=dict(type='L1Loss', loss_weight=1.0),
    )


def _host_head() -> Any:
    return HOST_MODELS.build(ConfigDict(_host_head_config()))


def _truth(size: int, count: int) -> InstanceData:
    sides = size * (0.03 + 0.4 * torch.rand(count, 2) * torch.rand(count, 1))
    corners = torch.rand(count, 2) * (size - sides - 1)
    boxes = torch.cat([corners, corners + sides], 1)
    return InstanceData(bboxes=boxes, labels=torch.randint(0, CLASSES, (count,)))


def _sample(size: int, truth: InstanceData | None = None) -> DetDataSample:
    shape = (size, size)
    meta = dict(img_shape=shape, batch_input_shape=shape, border=[0, 0, 0, 0])
    sample = DetDataSample(metainfo=meta | dict(scale_factor=(1.0, 1.0)))
    if truth is not None:
        sample.gt_instances = truth
    return sample


def _rows(
    what: str, functions: dict[str, Callable[[], Any]], repetitions: int, aim: float | None
) -> list[Row]:
    """Ours against each other one; all take turns."""
    times = milliseconds_in_turn(functions, repetitions)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = medians.pop('ours')
    return [Row(what, other, ours, median, 'ms', aim) for other, median in medians.items()]
