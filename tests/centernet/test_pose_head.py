import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.centernet.pose_head import CenterNetPoseHead

JOINTS, MAP, IMAGE = 5, (16, 24), (64, 96)
META = dict(batch_input_shape=IMAGE, img_shape=IMAGE, scale_factor=(1.0, 1.0))
LOSSES = ['heatmap', 'joint', 'joint_heatmap', 'joint_offset', 'offset', 'size']


def make_head(**changes: object) -> CenterNetPoseHead:
    torch.manual_seed(0)
    arguments = dict(num_joints=JOINTS, in_channels=8, feat_channels=8) | changes
    head = CenterNetPoseHead(**arguments)
    head.init_weights()
    return head


def truth() -> InstanceData:
    """Two people apart, all joints within their boxes."""
    torch.manual_seed(0)
    boxes = torch.tensor([[4.0, 4, 40, 60], [50, 6, 90, 50]])
    sides = (boxes[:, 2:] - boxes[:, :2])[:, None]
    joints = boxes[:, None, :2] + sides * (0.1 + 0.8 * torch.rand(2, JOINTS, 2))
    return InstanceData(
        bboxes=boxes,
        labels=torch.zeros(2).long(),
        keypoints=joints,
        keypoints_visible=torch.full((2, JOINTS), 2.0),
    )


def perfect_maps(head: CenterNetPoseHead, gt: InstanceData) -> dict[str, Tensor]:
    targets = head.get_targets([gt], MAP, [META])
    objects, count = targets.objects, len(gt)
    maps = dict(
        center=objects.heatmap.to_dense().eq(1).float() * 40 - 20,
        joint_center=targets.joint_heatmap.to_dense().eq(1).float() * 40 - 20,
        **{
            name: torch.zeros(1, channels, *MAP)
            for name, channels in head.branch_channels().items()
            if 'center' not in name
        },
    )
    xs, ys = objects.centers.unbind(1)
    maps['size'][objects.image_index, :, ys, xs] = objects.sizes
    maps['offset'][objects.image_index, :, ys, xs] = objects.offsets
    maps['joint_vector'][objects.image_index, :, ys, xs] = targets.joint_vectors.flatten(1)
    xs, ys = targets.joint_cells.flatten(0, 1).unbind(1)
    zeros = torch.zeros(count * JOINTS).long()
    maps['joint_offset'][zeros, :, ys, xs] = targets.joint_offsets.flatten(0, 1)
    return maps


def mirrored(maps: dict[str, Tensor], pairs: list[tuple[int, int]]) -> dict[str, Tensor]:
    """What the same network says of the flipped image."""
    flipped = {name: values.flip(3) for name, values in maps.items()}
    order = list(range(JOINTS))
    for a, b in pairs:
        order[a], order[b] = b, a
    flipped['joint_center'] = flipped['joint_center'][:, order]
    vectors = flipped['joint_vector'].unflatten(1, (JOINTS, 2))[:, order]
    flipped['joint_vector'] = (vectors * torch.tensor([-1, 1]).view(2, 1, 1)).flatten(1, 2)
    return flipped


@pytest.mark.parametrize('match', [True, False])
def test_targets_decode_to_the_truth(match: bool) -> None:
    head = make_head(test_cfg=ConfigDict(match_joints=match))
    gt = truth()
    found = head.predict_by_feat([perfect_maps(head, gt)], [META])[0]
    sure = found[found.scores > 0.5]
    order = sure.bboxes[:, 0].argsort()
    assert torch.allclose(sure.bboxes[order], gt.bboxes, atol=1e-4)
    assert torch.allclose(sure.keypoints[order], gt.keypoints, atol=1e-3)
    assert (sure.keypoint_scores > 0.99).all()


def test_matching_corrects_the_vectors() -> None:
    head, gt = make_head(), truth()
    maps = perfect_maps(head, gt)
    maps['joint_vector'] += 0.4
    found = head.predict_by_feat([maps], [META])[0]
    sure = found[found.scores > 0.5]
    order = sure.bboxes[:, 0].argsort()
    assert torch.allclose(sure.keypoints[order], gt.keypoints, atol=1e-3)


def test_perfect_prediction_costs_nothing() -> None:
    head, gt = make_head(), truth()
    losses = head.loss_by_feat([perfect_maps(head, gt)], [gt], [META])
    assert sorted(losses) == [f'loss_{name}' for name in LOSSES]
    assert all(loss.item() < 1e-4 for loss in losses.values())


@pytest.mark.parametrize('counts', [(0,), (2, 0)])
def test_finite_and_trainable(counts: tuple[int, ...]) -> None:
    head = make_head()
    truths = [truth()[:n] for n in counts]
    maps = head([torch.randn(len(counts), 8, *MAP)])
    losses = head.loss_by_feat(*maps, truths, [META] * len(counts))
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_what_is_not_a_number_changes_nothing() -> None:
    head, broken = make_head(), truth()
    broken.bboxes[0] = broken.keypoints[1, 2, 1] = torch.nan
    known = truth()[1:]
    known.keypoints_visible[0, 2] = 0
    results = []
    for instances in (known, broken):
        head.zero_grad()
        losses = head.loss_by_feat(*head([torch.ones(1, 8, *MAP)]), [instances], [META])
        sum(losses.values()).backward()
        results.append(list(losses.values()) + [p.grad.clone() for p in head.parameters()])
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize('from_meta', [True, False])
def test_flip(from_meta: bool) -> None:
    pairs = [(0, 1), (3, 4)]
    head = make_head(flip_pairs=None if from_meta else pairs)
    meta = META | (dict(flip_pairs=pairs) if from_meta else {})
    gt = truth()
    maps = perfect_maps(head, gt)
    flipped = mirrored(maps, pairs)
    doubled = {name: torch.cat([maps[name], flipped[name]]) for name in maps}
    found = head.predict_by_feat([doubled], [meta])[0]
    sure = found[found.scores > 0.5]
    order = sure.bboxes[:, 0].argsort()
    assert torch.allclose(sure.keypoints[order], gt.keypoints, atol=1e-3)
    assert torch.allclose(sure.bboxes[order], gt.bboxes, atol=1e-4)


def test_flip_without_pairs() -> None:
    head = make_head()
    maps = perfect_maps(head, truth())
    doubled = {name: torch.cat([values, values]) for name, values in maps.items()}
    with pytest.raises(ValueError, match='flip_pairs: state them in the head'):
        head.predict_by_feat([doubled], [META])


def test_key_points_missing_or_of_another_number() -> None:
    head, gt = make_head(), truth()
    del gt.keypoints
    with pytest.raises(ValueError, match=r'keypoints: expected \[2, 5, 2\], got none'):
        head.get_targets([gt], MAP, [META])
    gt.keypoints = torch.zeros(2, 17, 2)
    with pytest.raises(ValueError, match=r'expected \[2, 5, 2\], got \[2, 17, 2\]'):
        head.get_targets([gt], MAP, [META])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    head = make_head().to(dtype)
    (maps,) = head([torch.randn(1, 8, *MAP, dtype=dtype)])
    losses = head.loss_by_feat(maps, [truth()], [META])
    assert all(loss.isfinite() for loss in losses.values())
    results = head.predict_by_feat(maps, [META])[0]
    assert results.keypoints.isfinite().all()
    assert results.keypoints.dtype == torch.float32
