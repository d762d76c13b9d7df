import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.centernet.point_head import CenterNetPointHead

CLASSES, MAP, IMAGE = 3, (16, 24), (64, 96)
META = dict(batch_input_shape=IMAGE, img_shape=IMAGE, scale_factor=(1.0, 1.0))
BROKEN = [[float('nan')] * 4, [5.0, 5, 5, 40], [40.0, 30, 20, 10], [-90.0, -90, -10, -10]]


def make_head(**changes: object) -> CenterNetPointHead:
    torch.manual_seed(0)
    arguments = dict(num_classes=CLASSES, in_channels=8, feat_channels=8) | changes
    head = CenterNetPointHead(**arguments)
    head.init_weights()
    return head


def truth(seed: int = 0, count: int = 4) -> InstanceData:
    torch.manual_seed(seed)
    corners = torch.rand(count, 2) * torch.tensor([70.0, 40.0])
    boxes = torch.cat([corners, corners + 8 + 16 * torch.rand(count, 2)], 1)
    return InstanceData(bboxes=boxes, labels=torch.randint(0, CLASSES, (count,)))


def perfect_maps(head: CenterNetPointHead, truths: list[InstanceData]) -> dict[str, Tensor]:
    """What a head that knows the truth would say."""
    targets = head.get_targets(truths, MAP, [META] * len(truths))
    maps = dict(
        center=targets.heatmap.to_dense().eq(1).float() * 40 - 20,
        size=torch.zeros(len(truths), 2, *MAP),
        offset=torch.zeros(len(truths), 2, *MAP),
    )
    for name, values in (('size', targets.sizes), ('offset', targets.offsets)):
        xs, ys = targets.centers.unbind(1)
        maps[name][targets.image_index, :, ys, xs] = values
    return maps


def test_targets_decode_to_the_truth() -> None:
    head = make_head()
    truths = [truth(0), truth(1, 6)]
    maps = perfect_maps(head, truths)
    for found, gt in zip(head.predict_by_feat([maps], [META] * 2), truths, strict=True):
        sure = found[found.scores > 0.5]
        assert len(sure) == len(gt)
        order = (sure.bboxes[:, None] - gt.bboxes).abs().sum(2).argmin(0)
        assert torch.allclose(sure.bboxes[order], gt.bboxes, atol=1e-4)
        assert torch.equal(sure.labels[order], gt.labels)
        middles = (gt.bboxes[:, :2] + gt.bboxes[:, 2:]) / 2
        assert torch.allclose(sure.centers[order], middles, atol=1e-4)


def test_perfect_prediction_costs_nothing() -> None:
    head = make_head()
    truths = [truth(0), truth(1, 6)]
    losses = head.loss_by_feat([perfect_maps(head, truths)], truths, [META] * 2)
    assert sorted(losses) == ['loss_heatmap', 'loss_offset', 'loss_size']
    assert all(float(loss) < 1e-4 for loss in losses.values())


def test_losses_by_hand() -> None:
    head = make_head(size_weight=0.1, offset_weight=2.0)
    gt = InstanceData(bboxes=torch.tensor([[8.0, 8.0, 24.0, 16.0]]), labels=torch.tensor([1]))
    maps = perfect_maps(head, [gt])
    maps['size'] += 3
    maps['offset'] -= 0.25
    losses = head.loss_by_feat([maps], [gt], [META])
    assert losses['loss_size'].item() == pytest.approx(0.1 * 3, rel=1e-3)
    assert losses['loss_offset'].item() == pytest.approx(2 * 0.25, rel=1e-3)


@pytest.mark.parametrize('counts', [(0,), (0, 0), (3, 0)])
def test_finite_and_trainable_without_objects(counts: tuple[int, ...]) -> None:
    head = make_head()
    features = torch.randn(len(counts), 8, *MAP)
    truths = [truth(i, n) for i, n in enumerate(counts)]
    losses = head.loss_by_feat(*head([features]), truths, [META] * len(counts))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize('box', BROKEN)
def test_a_broken_box_changes_nothing(box: list[float]) -> None:
    head, gt = make_head(), truth()
    more = InstanceData.cat(
        [gt, InstanceData(bboxes=torch.tensor([box]), labels=torch.tensor([1]))]
    )
    results = []
    for instances in (gt, more):
        head.zero_grad()
        losses = head.loss_by_feat(*head([torch.ones(1, 8, *MAP)]), [instances], [META])
        sum(losses.values()).backward()
        results.append(list(losses.values()) + [p.grad.clone() for p in head.parameters()])
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-6)


def test_a_batch_of_two_is_the_mean_of_two_batches() -> None:
    """With as many objects in both images, whose losses divide by the objects of the batch."""
    head = make_head()
    features = torch.randn(2, 8, *MAP)
    truths = [truth(0), truth(1)]
    both = head.loss_by_feat(*head([features]), truths, [META] * 2)
    single = [
        head.loss_by_feat(*head([features[i : i + 1]]), [truths[i]], [META]) for i in range(2)
    ]
    for name, loss in both.items():
        assert loss.item() == pytest.approx(
            (single[0][name] + single[1][name]).item() / 2, rel=1e-4
        )


def test_stacks_share_the_loss_and_the_last_predicts() -> None:
    head = make_head(num_stacks=2)
    features = [torch.randn(1, 8, *MAP) for _ in range(2)]
    (maps,) = head(features)
    assert len(maps) == 2
    both = head.loss_by_feat(maps, [truth()], [META])
    alone = [head.loss_by_feat([m], [truth()], [META]) for m in maps]
    for name, loss in both.items():
        assert loss.item() == pytest.approx((alone[0][name] + alone[1][name]).item() / 2, rel=1e-5)
    sum(both.values()).backward()
    assert all(p.grad is not None for p in head.parameters())
    head.eval()
    (maps_in_test,) = head(features)
    assert len(maps_in_test) == 1
    assert torch.equal(maps_in_test[0]['center'], maps[1]['center'])


def test_flip_merges_before_decoding() -> None:
    head = make_head()
    maps = perfect_maps(head, [truth()])
    mirrored = {name: values.flip(3) for name, values in maps.items()}
    doubled = {name: torch.cat([maps[name], mirrored[name]]) for name in maps}
    doubled['offset'][1] = 99  # not used
    plain = head.predict_by_feat([maps], [META])[0]
    merged = head.predict_by_feat([doubled], [META])[0]
    sure = plain.scores > 0.5
    assert torch.allclose(merged.bboxes[sure], plain.bboxes[sure], atol=1e-4)
    doubled['size'][1] += 2  # averaged: 1 more cell, 2 px on each side
    wider = head.predict_by_feat([doubled], [META])[0]
    shift = torch.tensor([-2.0, -2.0, 2.0, 2.0])
    assert torch.allclose(wider.bboxes[sure], plain.bboxes[sure] + shift, atol=1e-4)


def test_frame_of_the_original_image() -> None:
    head = make_head()
    maps = perfect_maps(head, [truth()])
    meta = META | dict(border=[2, 0, 6, 0], scale_factor=(2.0, 0.5))
    plain, moved = (head.predict_by_feat([maps], [m])[0] for m in (META, meta))
    shift, factor = torch.tensor([6.0, 2, 6, 2]), torch.tensor([2.0, 0.5, 2, 0.5])
    assert torch.allclose(moved.bboxes, (plain.bboxes - shift) / factor, atol=1e-4)


@pytest.mark.parametrize(('limit', 'expected'), [(5, 5), (0, 20), (-1, 20), (100, 20)])
def test_limits(limit: int, expected: int) -> None:
    head = make_head(test_cfg=ConfigDict(topk=20, max_per_img=limit))
    results = head.predict([torch.randn(1, 8, *MAP)], [sample()])
    assert len(results[0]) == expected
    assert len(results[0].labels) == expected


def test_nms_on_top() -> None:
    head = make_head(test_cfg=ConfigDict(nms=dict(type='nms', iou_threshold=0.5)))
    maps = perfect_maps(head, [truth(0, 1)])
    maps['size'][:] = 30.0
    maps['center'][:, :, 2, 2] = maps['center'][:, :, 2, 4] = 3
    kept = head.predict_by_feat([maps], [META])[0]
    sure = kept[(kept.scores > 0.9) & (kept.scores < 0.99)]
    assert sorted(sure.labels.tolist()) == [0, 1, 2]


def test_no_images_and_wrong_stacks() -> None:
    head = make_head()
    assert head.predict_by_feat(*head([torch.randn(0, 8, *MAP)]), []) == []
    with pytest.raises(ValueError, match='features: expected one for each of 1 stacks, got 2'):
        head([torch.randn(1, 8, *MAP)] * 2)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    head = make_head().to(dtype)
    features = torch.randn(1, 8, *MAP, dtype=dtype)
    (maps,) = head([features])
    losses = head.loss_by_feat(maps, [truth()], [META])
    assert all(loss.isfinite() and loss.dtype == torch.float32 for loss in losses.values())
    results = head.predict_by_feat(maps, [META])[0]
    assert results.scores.dtype == torch.float32
    assert results.bboxes.isfinite().all()


def test_prior_of_a_centre() -> None:
    (maps,) = make_head()([torch.zeros(1, 8, *MAP)])
    assert maps[0]['center'].sigmoid().mean().item() == pytest.approx(0.1, abs=0.02)
    assert maps[0]['size'].abs().max() < 0.1


def sample() -> object:
    from mmdet.structures import DetDataSample

    return DetDataSample(metainfo=META)
