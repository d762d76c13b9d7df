"""The head: losses of targets and maps, gradients, what it refuses."""

import pytest
import torch
from mmengine.structures import InstanceData
from tiny_triplets import CLASSES, build_tiny, make_sample

from mmext.centernet.triplet_decoding import TripletMaps
from mmext.functional.gaussian_focal_loss import gaussian_focal_loss


def random_stacks(batch: int, stacks: int = 2, size: int = 16) -> list[TripletMaps]:
    channels = [CLASSES] * 3 + [1] * 2 + [2] * 3
    return [
        TripletMaps(*(torch.randn(batch, c, size, size) for c in channels)) for _ in range(stacks)
    ]


def unpack(samples) -> tuple[list[InstanceData], list[dict]]:
    return [s.gt_instances for s in samples], [s.metainfo for s in samples]


def test_losses_are_means_over_stacks() -> None:
    head = build_tiny().bbox_head
    stacks = random_stacks(2)
    args = unpack([make_sample(4), make_sample(2, seed=1)])
    both = head.loss_by_feat(stacks, *args)
    each = [head.loss_by_feat([maps], *args) for maps in stacks]
    assert set(both) == {'loss_heatmap', 'loss_pull', 'loss_push', 'loss_offset'}
    for name, value in both.items():
        torch.testing.assert_close(value, (each[0][name] + each[1][name]) / 2)


def test_a_batch_of_two_and_two_batches_of_one() -> None:
    """Tags and heat-maps add up as released: by image, and by key point of the batch."""
    head = build_tiny(1).bbox_head
    (maps,) = random_stacks(2, 1)
    samples = [make_sample(4), make_sample(4, seed=5)]
    both = head.loss_by_feat([maps], *unpack(samples))
    each = [
        head.loss_by_feat([TripletMaps(*(m[i : i + 1] for m in maps))], *unpack([samples[i]]))
        for i in range(2)
    ]
    for name in ('loss_pull', 'loss_push'):
        torch.testing.assert_close(both[name], each[0][name] + each[1][name])
    mean = (each[0]['loss_offset'] + each[1]['loss_offset']) / 2
    torch.testing.assert_close(both['loss_offset'], mean, rtol=1e-3, atol=0)
    targets = head.get_targets(*unpack(samples), (16, 16))
    heats = (maps.top_left_heat, maps.bottom_right_heat, maps.center_heat)
    expected = sum(gaussian_focal_loss(h, t.heatmap) for h, t in zip(heats, targets, strict=False))
    torch.testing.assert_close(both['loss_heatmap'], expected)


def test_perfect_maps_cost_nothing() -> None:
    head = build_tiny(1).bbox_head
    samples = [make_sample(3, seed=2)]
    targets = head.get_targets(*unpack(samples), (16, 16))
    tags, offsets = [], []
    for kind in targets[:3]:
        tag, offset = torch.zeros(1, 1, 16, 16), torch.zeros(1, 2, 16, 16)
        tag.flatten()[kind.cells[0]] = torch.tensor([0.0, 3, 6])
        offset.flatten(2)[0, :, kind.cells[0]] = kind.offsets[0].T
        tags.append(tag)
        offsets.append(offset)
    heats = [torch.where(kind.heatmap.to_dense() == 1, 20.0, -20.0) for kind in targets[:3]]
    losses = head.loss_by_feat([TripletMaps(*heats, *tags[:2], *offsets)], *unpack(samples))
    assert all(abs(value) < 1e-4 for value in losses.values())


@pytest.mark.parametrize('counts', [(0,), (0, 0), (3, 0)])
def test_images_without_objects(counts: tuple[int, ...]) -> None:
    model = build_tiny()
    samples = [make_sample(n, seed=i) for i, n in enumerate(counts)]
    losses = model.loss(torch.randn(len(counts), 3, 64, 64), samples)
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(p.grad is not None for p in model.parameters())  # DistributedDataParallel


@pytest.mark.parametrize('box', [[float('nan')] * 4, [5.0, 5, 5, 40], [40.0, 30, 20, 10]])
def test_a_broken_box_changes_nothing(box: list[float]) -> None:
    model = build_tiny()
    sound, more = make_sample(3), make_sample(3)
    wrong = InstanceData(bboxes=torch.tensor([box]), labels=torch.tensor([1]))
    more.gt_instances = InstanceData.cat([more.gt_instances, wrong])
    results = []
    for sample in (sound, more):
        model.zero_grad()
        losses = model.loss(torch.ones(1, 3, 64, 64), [sample])
        sum(losses.values()).backward()
        results.append(list(losses.values()) + [p.grad.clone() for p in model.parameters()])
    torch.testing.assert_close(*results)


def test_gradients_reach_what_they_should() -> None:
    model = build_tiny()
    losses = model.loss(torch.randn(2, 3, 64, 64), [make_sample(4), make_sample(2, seed=1)])
    losses['loss_pull'].backward(retain_graph=True)
    reached = {
        name.split('.')[3]
        for name, p in model.named_parameters()
        if p.grad is not None and name.startswith('bbox_head') and p.grad.any()
    }
    tags = {'top_left_tag', 'bottom_right_tag'}
    assert reached == tags | {'top_left_pool', 'bottom_right_pool'}
    sum(losses.values()).backward()
    silent = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert not silent


def test_two_objects_of_a_class_in_one_cell() -> None:
    head = build_tiny(1).bbox_head
    sample = make_sample(0)
    box = torch.tensor([[9.0, 9, 30, 30], [10, 10, 31, 31]])
    sample.gt_instances = InstanceData(bboxes=box, labels=torch.tensor([1, 1]))
    targets = head.get_targets(*unpack([sample]), (16, 16))
    assert targets.is_object.sum() == 2  # both are trained
    assert targets.top_left.cells.unique().numel() == 1
    assert not torch.equal(targets.top_left.offsets[0, 0], targets.top_left.offsets[0, 1])
    assert (targets.top_left.heatmap.values == 1).sum() == 1


def test_the_heat_starts_low() -> None:
    """Nothing is a key point at first: the loss of so many empty cells would drown all others."""
    head = build_tiny().bbox_head
    for stack in head.stacks:
        for kind in ('top_left', 'bottom_right', 'center'):
            assert getattr(stack, f'{kind}_heat')[-1].bias.tolist() == [pytest.approx(-2.19)] * 3


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(loss_weights=dict(heatmap=1.0)), "loss_weights: expected .*, got \\('heatmap',\\)"),
        (dict(radius_mode='right'), "radius_mode: .* got 'right'"),
        (dict(test_cfg=dict(nms_pre=3)), r"test_cfg: expected .*, got \['nms_pre'\]"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_tiny(**wrong)


def test_features_and_stacks_must_agree() -> None:
    with pytest.raises(ValueError, match='one map for each of 2 stacks, got 1'):
        build_tiny().bbox_head((torch.zeros(1, 8, 8, 8),))
