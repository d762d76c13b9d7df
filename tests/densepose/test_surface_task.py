"""The surface as a task of a two-stage detector: losses, targets, predictions, odd batches."""

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from released_densepose import decode, doubled, value_at
from small_densepose import CROPS, TASK, TRUNKS, pictures, sample, small_detector
from torch.nn import functional as F

from mmext.densepose.point_losses import point_losses
from mmext.densepose.surface_losses import anisotropic_loss, isotropic_loss
from mmext.densepose.surface_maps import SurfaceMaps, SurfacePredictor
from mmext.densepose.surface_targets import collect_targets
from mmext.densepose.surface_task import summed
from mmext.errors import InputError

VARIANTS: dict[str, dict[str, Any]] = {
    'plain': {},
    'deeplab': dict(trunk=TRUNKS['deeplab'], num_coarse=15),
    'non_local': dict(trunk=TRUNKS['non_local'], average_uv=True),
    'hourglass': dict(trunk=TRUNKS['hourglass'], num_coarse=15, nested=True),
    'wc1': dict(confidence='wc1'),
    'wc2m': dict(confidence='wc2', mask_confidence=True, num_coarse=15),
    'levels': dict(
        decoder=None, roi_extractor=dict(TASK['roi_extractor'], featmap_strides=[4, 8, 16, 32])
    ),
    'crops': dict(CROPS, num_coarse=15, nested=True),
}


def losses_of(model: Any, *samples: Any) -> dict[str, torch.Tensor]:
    found = model.loss(pictures(len(samples)), list(samples))
    return {name: loss for name, loss in found.items() if 'densepose' in name}


@pytest.mark.parametrize('name', VARIANTS)
def test_everything_is_trained(name: str) -> None:
    model = small_detector(**copy.deepcopy(VARIANTS[name]))
    losses = losses_of(model, sample(2), sample(3, seed=1))
    ends = ('_u', '_v') if 'wc' not in name else ('_uv',)
    assert set(losses) == {f'loss_densepose{end}' for end in ('_part', '_mask', *ends)}
    assert all(bool(loss.isfinite()) and loss.item() != 0 for loss in losses.values())
    sum(losses.values()).backward()  # type: ignore[union-attr]
    task = model.roi_head.tasks['densepose']
    zero_at_first = ('non_local.',)  # its norm begins as 0
    missing = [
        parameter
        for parameter, value in task.named_parameters()
        if value.grad is None
        or (not value.grad.any() and not any(part in parameter for part in zero_at_first))
    ]
    assert not missing


@pytest.mark.parametrize(
    'samples',
    [
        [sample(0), sample(0)],
        [sample(2, points=0, masks=False)],
        [sample(2, points=0, masks=False), sample(0)],
    ],
    ids=['nobody', 'nothing known', 'both'],
)
@pytest.mark.parametrize('name', ['plain', 'wc2m', 'crops'])
def test_what_is_not_annotated_costs_nothing(samples: list[Any], name: str) -> None:
    model = small_detector(**copy.deepcopy(VARIANTS[name]))
    losses = losses_of(model, *copy.deepcopy(samples))
    assert all(loss.item() == 0 for loss in losses.values())
    sum(losses.values()).backward()  # type: ignore[union-attr]
    task = model.roi_head.tasks['densepose']
    assert all(p.grad is not None and not p.grad.any() for p in task.parameters())


def test_images_without_annotation_change_nothing() -> None:
    task = small_detector().roi_head.tasks['densepose']
    features = [torch.randn(2, 8, 24 // 2**i, 24 // 2**i) for i in range(5)]
    known, bare, masks_alone = sample(2), sample(2, points=0, masks=False), sample(2, points=0)
    sampled = [_sampled(s) for s in (known, bare)]
    both = task.loss(features, sampled, [known.gt_instances, bare.gt_instances])
    alone = task.loss([f[:1] for f in features], sampled[:1], [known.gt_instances])
    for name, loss in alone.items():
        torch.testing.assert_close(both[name], loss)
    bodies = task.loss(features[:5], [_sampled(masks_alone)], [masks_alone.gt_instances])
    assert bodies['loss_densepose_mask'] > 0
    assert bodies['loss_densepose_part'] == bodies['loss_densepose_u'] == 0


def _sampled(made: Any) -> Any:
    boxes = made.gt_instances.bboxes
    return SimpleNamespace(pos_priors=boxes, pos_assigned_gt_inds=torch.arange(len(boxes)))


def test_which_regions_are_trained_on() -> None:
    made = sample(3)
    made.gt_instances.surface_iuv[2, :, 0] = -1
    made.gt_instances.surface_masks[2] = 255  # nothing is known of the third
    boxes = made.gt_instances.bboxes
    shifted = boxes[0].clone()
    shifted[2] += 0.5 * (shifted[2] - shifted[0])  # an IoU of 2/3
    near = boxes[1] + 1
    priors = torch.stack([shifted, near, boxes[2], boxes[0]])
    matched = torch.tensor([0, 1, 2, 0])
    found = collect_targets(
        [torch.zeros(0, 4), priors], [torch.zeros(0).long(), matched], [sample(0).gt_instances,
        made.gt_instances], 0.7,
    )  # fmt: skip
    assert found.regions.tolist() == [[1, *near.tolist()], [1, *boxes[0].tolist()]]
    assert found.object_index.tolist() == [1, 0]
    assert found.region_index.tolist() == [0] * 9 + [1] * 9
    points = made.gt_instances.surface_points
    assert torch.equal(found.points, torch.cat([points[1], points[0]]))
    with pytest.raises(InputError, match=r'no surface_points.*LoadSurface'):
        del made.gt_instances.surface_points
        collect_targets([priors], [matched], [made.gt_instances], 0.7)


@pytest.mark.parametrize('confidence', [None, 'wc1', 'wc2'])
@pytest.mark.parametrize('masks', [False, True])
def test_point_losses_are_those_of_the_released_order(confidence: Any, masks: bool) -> None:
    made = sample(3, seed=4)
    predictor = SurfacePredictor(6, 2, confidence, masks)
    maps: SurfaceMaps = predictor(torch.randn(3, 6, 7, 7))
    boxes = made.gt_instances.bboxes + torch.tensor([2.0, 1, 3, -2])  # some points fall outside
    targets = collect_targets([boxes], [torch.arange(3)], [made.gt_instances], 0.3)
    found = point_losses(maps, targets)
    parts, errors, sigmas, kappas, logits = [], [], [], [], []
    large = SurfaceMaps(*(None if m is None else doubled(m) for m in maps))  # type: ignore[arg-type]
    weighted = large.parts
    if large.part_confidence is not None:
        weighted = weighted * (F.softplus(large.part_confidence) + 0.01)
    for region in range(3):
        x0, y0, x1, y1 = boxes[region].tolist()
        gt = made.gt_instances
        for point, (part, u, v) in zip(
            gt.surface_points[region].tolist(), gt.surface_iuv[region].tolist(), strict=True
        ):
            if not (x0 <= point[0] < x1 and y0 <= point[1] < y1):
                continue
            number, place = int(part), (point, [x0, y0, x1, y1])
            logits.append(value_at(weighted[region], *place))
            parts.append(number)
            if not number:
                continue
            read = {
                name: value_at(getattr(large, name)[region], *place)[number]
                for name in ('u', 'v', 'sigma', 'kappa_u', 'kappa_v')
                if getattr(large, name) is not None
            }
            errors.append(torch.stack([read['u'] - u, read['v'] - v]))
            sigmas.append(read.get('sigma'))
            kappas.append((read.get('kappa_u'), read.get('kappa_v')))
    assert 5 < len(parts) < 27
    expected = dict(part=F.cross_entropy(torch.stack(logits), torch.tensor(parts)))
    stacked = torch.stack(errors)
    if confidence is None:
        for name, column in (('u', 0), ('v', 1)):
            zero = torch.zeros(len(stacked))
            expected[name] = F.smooth_l1_loss(stacked[:, column], zero, reduction='sum')
    elif confidence == 'wc1':
        expected['uv'] = isotropic_loss(stacked, torch.stack(sigmas))
    else:
        direction = torch.stack([torch.stack(pair) for pair in kappas])
        expected['uv'] = anisotropic_loss(stacked, torch.stack(sigmas), direction)
    assert set(found) == set(expected)
    for name, loss in expected.items():
        torch.testing.assert_close(found[name], loss, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', [name for name in VARIANTS if name != 'crops'])
def test_predictions_are_the_released_ones(name: str) -> None:
    model = small_detector(**copy.deepcopy(VARIANTS[name])).eval()
    samples = [sample(2, factor=2.0), sample(1)]
    with torch.no_grad():
        found = model.predict(pictures(2), copy.deepcopy(samples))
        single = model.predict(pictures(2)[:1], copy.deepcopy(samples[:1]))
        features = model.extract_feat(pictures(2))
    objects = found[0].pred_instances
    assert len(objects) == 4
    for surface, (_, _, width, height), box in zip(
        objects.surface, objects.surface_boxes.tolist(), objects.bboxes.tolist(), strict=True
    ):
        assert surface.shape == (3, height, width)
        assert surface.dtype == np.uint8
        assert [width, height] == [max(int(box[2] - box[0]), 1), max(int(box[3] - box[1]), 1)]
    for one, other in zip(objects.surface, single[0].pred_instances.surface, strict=True):
        assert (one[0] == other[0]).mean() > 0.99
    task = model.roi_head.tasks['densepose']
    box = torch.tensor([[10.0, 12, 71, 80]])
    with torch.no_grad():
        (direct,) = task.predict([f[:1] for f in features], [box], [{}])
        levels = task._decoded_levels([f[:1] for f in features])
        maps = task._maps(levels, torch.cat([torch.zeros(1, 1), box], dim=1))
        coarse, parts = doubled(maps.coarse), doubled(maps.parts)
        if maps.part_confidence is not None:
            parts = parts * (F.softplus(doubled(maps.part_confidence)) + 0.01)
            coarse = coarse * (F.softplus(doubled(maps.coarse_confidence)) + 0.01)
        if task.nested:  # the body is likelier, not one of its parts
            coarse = summed(coarse)
        label, u, _ = decode(coarse[0], parts[0], doubled(maps.u)[0], doubled(maps.v)[0], (68, 61))
    same = direct['surface'][0][0] == label.numpy()
    assert same.mean() > 0.995
    stored = direct['surface'][0][1][same].astype(int)
    expected = (255 * u).clamp(0, 255).numpy().astype(int)[same]
    assert np.abs(stored - expected).max() <= 1
    empty = task.predict(features, [torch.zeros(0, 4), box], [{}, {}])
    assert empty[0]['surface'] == []
    assert empty[0]['surface_boxes'].shape == (0, 4)


def test_summed_parts_outweigh_the_background() -> None:
    coarse = torch.randn(3, 15, 6, 6, generator=torch.Generator().manual_seed(0))
    body = 1 - coarse.softmax(1)[:, 0]
    torch.testing.assert_close(summed(coarse).softmax(1)[:, 1], body)

    features = [torch.randn(1, 8, 24 // 2**i, 24 // 2**i) for i in range(5)]
    boxes = [torch.tensor([[10.0, 10, 60, 70]])]
    for is_nested, part in ((False, 0), (True, 18)):
        task = small_detector(num_coarse=15, nested=is_nested).roi_head.tasks['densepose'].eval()
        biases = {name: layer.bias.data for name, layer in task.predictor.layers.items()}
        for name in ('coarse', 'parts'):
            torch.nn.init.zeros_(task.predictor.layers[name].weight)
        biases['coarse'][0] = 1.0  # e of e + 14: no part alone is likelier
        biases['coarse'][11] = 0.5  # the right upper arm, parts 16 and 18
        biases['parts'][3], biases['parts'][18] = 0.4, 0.1
        with torch.no_grad():
            (found,) = task.predict(features, boxes, [{}])
        assert np.unique(found['surface'][0][0]).tolist() == [part]


def test_nested_parts_need_coarse_ones() -> None:
    with pytest.raises(InputError, match='nested'):
        small_detector(nested=True)


def test_nobody_found() -> None:
    model = small_detector().eval()
    model.test_cfg.rcnn.score_thr = model.roi_head.test_cfg.score_thr = 2.0
    with torch.no_grad():
        (found,) = model.predict(pictures(1), [sample(1, factor=2.0)])
    objects = found.pred_instances
    assert len(objects) == 0
    assert objects.surface == []
    assert objects.surface_boxes.shape == (0, 4)


def test_low_precision_decodes_in_full() -> None:
    task = small_detector().roi_head.tasks['densepose'].eval()
    features = [torch.randn(1, 8, 24 // 2**i, 24 // 2**i) for i in range(5)]
    boxes = [torch.tensor([[10.0, 10, 60, 70], [20, 5, 90, 40]])]
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        (low,) = task.predict(features, boxes, [{}])
    with torch.no_grad():
        (full,) = task.predict(features, boxes, [{}])
    for one, other in zip(low['surface'], full['surface'], strict=True):
        assert (one[0] == other[0]).mean() > 0.9
    made = sample(2)
    with torch.autocast('cpu', torch.bfloat16):
        losses = task.loss(features, [_sampled(made)], [made.gt_instances])
    exact = task.loss(features, [_sampled(made)], [made.gt_instances])
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=0.1, atol=0.01)


def test_bad_options() -> None:
    for wrong in (
        dict(num_coarse=3),
        dict(confidence='wc3'),
        dict(loss_weights=dict(other=1.0)),
        dict(trunk=dict(TRUNKS['plain'], num_convs=0)),
        dict(decoder=dict(TASK['decoder'], channels=0)),
    ):
        with pytest.raises(InputError, match='expected'):
            small_detector(**wrong)
