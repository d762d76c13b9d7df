"""The detector: batches, canvases, empty ground truth, gradients, both suppressions."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmcv.ops import batched_nms
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from small_yolact import CLASSES, make_sample
from torch import Tensor
from torch.nn import functional as F

from mmext.errors import InputError
from mmext.functional.mining import BACKGROUND, IGNORE
from mmext.yolact_edge.box_head import per_anchor
from mmext.yolact_edge.matching import match_anchors

Build = Callable[..., BaseDetector]
SIZE = (64, 96)


def some_sample() -> DetDataSample:
    return make_sample(
        [(4, 4, 30, 40), (40, 10, 90, 60), (60, 2, 76, 20)], [0, 3, 3], SIZE, [(0, 40, 30, 64)]
    )


def no_threshold(model: BaseDetector, score_thr: float = 0.0) -> BaseDetector:
    model.bbox_head.test_cfg.score_thr = score_thr
    return model.eval()


def finite(losses: dict[str, Tensor]) -> bool:
    return all(math.isfinite(float(value.detach())) for value in losses.values())


def test_a_batch_of_two_equals_two_of_one(build: Build) -> None:
    model = no_threshold(build())
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        both = model.predict(images, [some_sample(), some_sample()])
        alone = [model.predict(image[None], [some_sample()])[0] for image in images]
    for one, other in zip(both, alone, strict=True):
        ours, theirs = one.pred_instances, other.pred_instances
        assert len(ours) == len(theirs) == 100
        torch.testing.assert_close(ours.scores, theirs.scores)
        assert (ours.masks != theirs.masks).float().mean() < 1e-3


def test_predictions_are_those_of_a_detector_of_the_host(build: Build) -> None:
    sample = make_sample([], [], SIZE, ori_size=(128, 144))
    (sample,) = no_threshold(build()).predict(torch.randn(1, 3, *SIZE), [sample])
    found = sample.pred_instances
    assert set(found.keys()) == {'bboxes', 'scores', 'labels', 'masks'}
    assert found.masks.shape == (100, 128, 144) and found.masks.dtype == torch.bool
    assert found.labels.min() >= 0 and found.labels.max() < CLASSES
    assert (found.scores[1:] <= found.scores[:-1]).all()
    assert found.bboxes.min() >= 0
    assert (found.bboxes[:, 2] <= 144).all() and (found.bboxes[:, 3] <= 128).all()


def test_padding_of_the_pipeline_is_padding(build: Build) -> None:
    """The transform `Pad` counts the padding to `img_shape`; the scale factor does not."""
    model, images = no_threshold(build()), torch.randn(1, 3, *SIZE)
    found = []
    for img_shape in ((40, 50), SIZE):
        sample = make_sample([], [], (40, 50), ori_size=(80, 150))
        sample.set_metainfo(dict(img_shape=img_shape))
        found.append(model.predict(images, [sample])[0].pred_instances)
    torch.testing.assert_close(found[0].bboxes, found[1].bboxes)
    assert found[0].masks.equal(found[1].masks) and found[0].masks.any()


def test_without_rescaling_all_is_in_pixels_of_the_input(build: Build) -> None:
    model, images = no_threshold(build()), torch.randn(1, 3, *SIZE)
    found = []
    for rescale in (True, False):
        sample = make_sample([], [], SIZE, ori_size=(128, 144))
        found.append(model.predict(images, [sample], rescale=rescale)[0].pred_instances)
    assert found[1].masks.shape[1:] == SIZE
    factors = torch.tensor([1.5, 2.0, 1.5, 2.0])
    torch.testing.assert_close(found[0].bboxes, found[1].bboxes * factors)


def test_nothing_found(build: Build) -> None:
    model = no_threshold(build(), score_thr=1.0)
    (sample,) = model.predict(torch.randn(1, 3, *SIZE), [some_sample()])
    assert len(sample.pred_instances) == 0
    assert sample.pred_instances.masks.shape == (0, *SIZE)


@pytest.mark.parametrize('suppression', ['fast', 'nms'])
def test_detections_lie_in_the_image_and_not_in_the_padding(build: Build, suppression: str) -> None:
    nms = dict(type=suppression, iou_threshold=0.5)
    model = no_threshold(build(test_cfg=dict(nms=nms)))
    sample = make_sample([], [], (40, 50))
    (sample,) = model.predict(torch.randn(1, 3, *SIZE), [sample])
    found = sample.pred_instances
    assert found.masks.shape[1:] == (40, 50) and len(found)
    sides = found.bboxes[:, 2:] - found.bboxes[:, :2]
    assert (sides > 0).all()
    assert (found.bboxes[:, 2] <= 50).all() and (found.bboxes[:, 3] <= 40).all()


def test_greedy_suppression_is_the_hosts_within_each_class(build: Build) -> None:
    nms = dict(type='nms', iou_threshold=0.4)
    head = build(test_cfg=dict(nms=nms, score_thr=0.3)).bbox_head
    torch.manual_seed(0)
    starts = torch.rand(50, 2) * 60 - 20  # also left of the image
    boxes, scores = torch.cat([starts, starts + 20], 1), torch.rand(50, CLASSES)
    kept = head._suppress(boxes, scores)
    wanted = []
    for label in range(CLASSES):
        (index,) = (scores[:, label] > 0.3).nonzero(as_tuple=True)
        chosen = batched_nms(
            boxes[index] + 100,
            scores[index, label],
            torch.zeros(len(index)),
            dict(type='nms', iou_threshold=0.4),
        )[1]
        wanted += [(int(i), label) for i in index[chosen]]
    wanted.sort(key=lambda pair: -float(scores[pair]))
    found = list(zip(kept.box_index.tolist(), kept.labels.tolist(), strict=True))
    assert found == wanted[:100]
    assert kept.scores.equal(scores[kept.box_index, kept.labels])


def test_an_unknown_suppression_is_named(build: Build) -> None:
    with pytest.raises(InputError, match=r"test_cfg\.nms\.type: expected one of .*'sot_nms'"):
        build(test_cfg=dict(nms=dict(type='sot_nms', iou_threshold=0.5)))


def test_losses_are_those_of_the_formulas(build: Build) -> None:
    """Class and box loss of a batch, with sorting by hand."""
    model = build().train()
    head, images, samples = model.bbox_head, torch.randn(2, 3, *SIZE), [some_sample()] * 2
    with torch.no_grad():
        levels = model.extract_feat(images)
        cls_scores, bbox_preds, _ = head(levels)
        anchors = head.anchors_of(levels, SIZE)
        objects = [sample.gt_instances for sample in samples]
        crowds = [sample.ignored_instances for sample in samples]
        assigned = head.assign(anchors, objects, crowds)
        losses = head.loss_by_feat(cls_scores, bbox_preds, assigned, anchors, objects)
    wanted_cls = wanted_box = 0.0
    row = match_anchors(anchors, objects[0].bboxes, crowds[0].bboxes, head.matching)
    positives = 2 * int((row >= 0).sum())
    assert (row == IGNORE).any() and positives >= 6
    for i in range(2):
        logs = per_anchor(cls_scores, CLASSES + 1)[i].log_softmax(1)
        deltas = per_anchor(bbox_preds, 4)[i]
        background = sorted((-logs[row == BACKGROUND, CLASSES]).tolist(), reverse=True)
        wanted_cls += sum(background[: 3 * positives // 2])
        for anchor in (row >= 0).nonzero().flatten().tolist():
            own = int(row[anchor])
            wanted_cls -= float(logs[anchor, objects[i].labels[own]])
            target = encode(objects[i].bboxes[own].tolist(), anchors[anchor].tolist())
            wanted_box += float(
                F.smooth_l1_loss(deltas[anchor], torch.tensor(target), reduction='sum')
            )
    assert float(losses['loss_cls']) == pytest.approx(wanted_cls / positives, rel=1e-4)
    assert float(losses['loss_bbox']) == pytest.approx(1.5 * wanted_box / positives, rel=1e-4)


def encode(box: list[float], anchor: list[float]) -> list[float]:
    """SSD's code with variances .1 and .2."""
    code = []
    for axis in (0, 1):
        side, own = anchor[axis + 2] - anchor[axis], box[axis + 2] - box[axis]
        offset = (box[axis] + box[axis + 2] - anchor[axis] - anchor[axis + 2]) / 2
        code.append((offset / (0.1 * side), math.log(own / side) / 0.2))
    return [code[0][0], code[1][0], code[0][1], code[1][1]]


def test_every_parameter_learns(build: Build) -> None:
    for samples in ([some_sample()], [make_sample([], [], SIZE)]):
        model = build().train()
        losses = model.loss(torch.randn(1, 3, *SIZE), samples)
        assert finite(losses)
        sum(losses.values()).backward()
        silent = [name for name, p in model.named_parameters() if p.grad is None]
        assert not silent


def test_an_image_without_objects_beside_one_with(build: Build) -> None:
    samples = [some_sample(), make_sample([], [], SIZE)]
    losses = build().train().loss(torch.randn(2, 3, *SIZE), samples)
    assert finite(losses) and float(losses['loss_cls'].detach()) < 50


def test_loss_is_the_same_with_masks_of_the_image_or_of_the_canvas(build: Build) -> None:
    """The host's preprocessor pads masks if `pad_mask` says so."""
    model = build().eval()
    images = torch.randn(1, 3, *SIZE)
    samples = [make_sample([(4, 4, 30, 38)], [1], (40, 50)) for _ in range(2)]
    masks = samples[1].gt_instances.masks
    samples[1].gt_instances.masks = masks.pad(SIZE, pad_val=0)
    losses = [model.loss(images, [sample]) for sample in samples]
    assert losses[0]['loss_mask'].equal(losses[1]['loss_mask'])


def test_the_semantic_map_is_for_training_alone(build: Build) -> None:
    model: Any = build()
    levels = model.extract_feat(torch.randn(1, 3, *SIZE))
    assert model.train().mask_head(levels)[1].shape == (1, CLASSES, 16, 24)
    assert model.eval().mask_head(levels)[1] is None


def test_a_limit_of_masks_keeps_the_mean(build: Build) -> None:
    """Equal coefficients on all anchors of one object: any of them stand for all."""
    sample = make_sample([(8, 8, 56, 40)], [1], SIZE)
    torch.manual_seed(0)
    prototypes = torch.randn(1, 32, 16, 24)
    coefficients = torch.randn(1, 1, 32).expand(1, 30, 32)
    assigned = torch.full((1, 30), BACKGROUND)
    assigned[0, 3:25] = 0
    losses = [
        build(mask_head=dict(max_masks_to_train=limit)).mask_head.loss_by_feat(
            prototypes, None, coefficients, assigned, [sample.gt_instances], SIZE
        )['loss_mask']
        for limit in (5, 100)
    ]
    torch.testing.assert_close(losses[0], losses[1])


def test_perfect_predictions_cost_about_nothing(build: Build) -> None:
    """Prototypes that are the masks, boxes and classes that are the targets."""
    model, sample = build(), make_sample([(8, 8, 40, 40), (48, 16, 88, 56)], [1, 3], SIZE)
    head, objects = model.bbox_head, [sample.gt_instances]
    shapes = [(8, 12), (4, 6), (2, 3), (1, 2)]
    maps = [torch.zeros(1, 1, *shape) for shape in shapes]
    anchors = head.anchors_of(maps, SIZE)
    assigned = head.assign(anchors, objects, [None])
    labels = torch.where(assigned >= 0, sample.gt_instances.labels[assigned], CLASSES)
    logits = 50.0 * F.one_hot(labels, CLASSES + 1).float()
    boxes = sample.gt_instances.bboxes[assigned[0].clamp(min=0)]
    deltas = head.bbox_coder.encode(anchors, boxes)[None]
    losses = head.loss_by_feat(
        as_maps(logits, shapes), as_maps(deltas, shapes), assigned, anchors, objects
    )
    masks = torch.from_numpy(sample.gt_instances.masks.masks).float()
    prototypes = torch.zeros(1, 32, 16, 24)
    prototypes[0, :2] = F.avg_pool2d(masks[None], 4)[0] * 100 - 50
    coefficients = F.one_hot(assigned.clamp(min=0), 32).float()
    losses |= model.mask_head.loss_by_feat(prototypes, None, coefficients, assigned, objects, SIZE)
    assert losses.keys() == {'loss_cls', 'loss_bbox', 'loss_mask'}
    assert all(value.item() < 1e-4 for value in losses.values())


def as_maps(values: Tensor, shapes: list[tuple[int, int]]) -> list[Tensor]:
    """The maps ``[1, 3 * channels, h, w]`` that ``per_anchor`` makes ``[1, P, channels]`` of."""
    parts = values.split([3 * h * w for h, w in shapes], dim=1)
    return [
        part.reshape(1, h, w, -1).permute(0, 3, 1, 2)
        for part, (h, w) in zip(parts, shapes, strict=True)
    ]
