"""UPSNet as a detector: losses, gradients, predictions, batching, degenerate input."""

import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

LOSSES = {
    'loss_rpn_cls',
    'loss_rpn_bbox',
    'loss_cls',
    'loss_bbox',
    'loss_mask',
    'loss_seg',
    'loss_panoptic',
}


def images(count: int, size: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def total(losses: dict) -> torch.Tensor:
    """What mmengine back-propagates: every key with "loss" in it."""
    flat = (torch.stack(v) if isinstance(v, list) else v for k, v in losses.items() if 'loss' in k)
    return sum(value.sum() for value in flat)


def finite(losses: dict) -> bool:
    return bool(torch.isfinite(total(losses)))


@pytest.mark.parametrize('count', [1, 2])
def test_losses_are_finite_and_train_every_parameter(upsnet, sample_factory, count):
    losses = upsnet.loss(images(count), [sample_factory(seed=i) for i in range(count)])
    assert set(losses) >= LOSSES
    assert finite(losses)
    total(losses).backward()
    without = [name for name, p in upsnet.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize('instances', [(0, 0), (0, 2), (1, 3)])
def test_images_without_instances(upsnet, sample_factory, instances):
    samples = [sample_factory(instances=n, seed=i) for i, n in enumerate(instances)]
    losses = upsnet.loss(images(2), samples)
    assert finite(losses)
    total(losses).backward()
    assert all(torch.isfinite(p.grad).all() for p in upsnet.parameters() if p.grad is not None)


def test_crowd_boxes_are_ignored_not_learned(upsnet, sample_factory):
    sample = sample_factory()
    sample.ignored_instances = InstanceData(
        bboxes=torch.tensor([[0.0, 0.0, 64.0, 64.0]]), labels=torch.tensor([1])
    )
    assert finite(upsnet.loss(images(1), [sample]))


def test_ground_truth_stays_as_it_was(upsnet, sample_factory):
    sample = sample_factory()
    before = copy.deepcopy(sample)
    upsnet.loss(images(1), [sample])
    assert torch.equal(sample.gt_instances.labels, before.gt_instances.labels)
    assert torch.equal(sample.gt_instances.bboxes, before.gt_instances.bboxes)
    assert (sample.gt_instances.masks.masks == before.gt_instances.masks.masks).all()
    assert torch.equal(sample.gt_sem_seg.sem_seg, before.gt_sem_seg.sem_seg)


def permissive(config):
    """Lets an untrained net produce instances."""
    config.test_cfg.panoptic.update(score_thr=0.0, stuff_area_limit=0)
    config.test_cfg.rcnn.update(score_thr=0.0)
    return config


def test_predicts_panoptic_instances_and_semantics_at_original_size(
    upsnet_config, build_model, sample_factory
):
    model = build_model(permissive(upsnet_config)).eval()
    sample = sample_factory()
    sample.set_metainfo(dict(ori_shape=(50, 91), scale_factor=(64 / 91, 64 / 50)))
    with torch.no_grad():
        (result,) = model.predict(images(1), [sample])
    panoptic, semantic = result.pred_panoptic_seg.sem_seg, result.pred_sem_seg.sem_seg
    assert panoptic.shape == semantic.shape == (1, 50, 91)
    assert result.pred_instances.masks.shape[1:] == (50, 91)
    assert len(result.pred_instances) > 0
    labels, numbers = panoptic % 1000, panoptic // 1000
    assert labels.max() <= 10  # 10 is void
    assert (numbers[labels < 5] > 0).all()  # things are numbered from 1
    assert (numbers[labels >= 5] == 0).all()  # stuff and void are not
    assert semantic.min() >= 0
    assert semantic.max() < 10
    boxes = result.pred_instances.bboxes
    assert boxes[:, 0::2].max() <= 91 + 1e-3 and boxes[:, 1::2].max() <= 50 + 1e-3


def test_batch_of_two_predicts_as_two_batches_of_one(upsnet_config, build_model, sample_factory):
    model = build_model(permissive(upsnet_config)).eval()
    batch = images(2)
    with torch.no_grad():
        together = model.predict(batch, [sample_factory(seed=i) for i in (0, 1)])
        alone = [model.predict(batch[i : i + 1], [sample_factory(seed=i)])[0] for i in (0, 1)]
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a.pred_panoptic_seg.sem_seg, b.pred_panoptic_seg.sem_seg)
        assert torch.equal(a.pred_sem_seg.sem_seg, b.pred_sem_seg.sem_seg)
        assert torch.equal(a.pred_instances.labels, b.pred_instances.labels)
        torch.testing.assert_close(a.pred_instances.bboxes, b.pred_instances.bboxes)


def test_nothing_detected_is_pure_stuff_and_void(upsnet_config, build_model, sample_factory):
    upsnet_config.test_cfg.panoptic.update(score_thr=1.0, stuff_area_limit=0)
    upsnet_config.test_cfg.rcnn.update(score_thr=1.0)
    model = build_model(upsnet_config).eval()
    with torch.no_grad():
        (result,) = model.predict(images(1), [sample_factory()])
    panoptic = result.pred_panoptic_seg.sem_seg
    assert ((panoptic >= 5) & (panoptic <= 10)).all()
    assert len(result.pred_instances) == 0
    assert result.pred_instances.masks.shape == (0, 64, 64)


def test_no_proposal_at_all(upsnet, sample_factory):
    sample = sample_factory()
    sample.proposals = InstanceData(bboxes=torch.zeros(0, 4))
    with torch.no_grad():
        (result,) = upsnet.eval().predict(images(1), [sample])
    assert len(result.pred_instances) == 0
    assert result.pred_panoptic_seg.sem_seg.shape == (1, 64, 64)


def test_raw_outputs_for_shape_analysis(upsnet):
    outputs = upsnet.eval()(images(1), mode='tensor')
    assert outputs[-1].shape == (1, 10, 16, 16)


def test_class_counts_are_stated_once(upsnet_config, build_model):
    upsnet_config.update(num_things_classes=2, num_stuff_classes=7)
    model = build_model(upsnet_config)
    assert model.roi_head.bbox_head.num_classes == model.roi_head.mask_head.num_classes == 2
    assert model.semantic_head.conv_logits.out_channels == model.num_classes == 9


def test_same_seed_same_losses(upsnet, sample_factory):
    values = []
    for _ in range(2):
        torch.manual_seed(7)
        values.append(upsnet.loss(images(1), [sample_factory()])['loss_panoptic'])
    assert torch.equal(*values)


def test_predictions_are_host_data_samples(upsnet, sample_factory):
    with torch.no_grad():
        (result,) = upsnet.eval().predict(images(1), [sample_factory()], rescale=False)
    assert isinstance(result, DetDataSample)
    assert result.pred_panoptic_seg.sem_seg.dtype == torch.int32


def test_a_box_of_both_branches_goes_through_the_mask_head_once(
    upsnet_config, build_model, sample_factory
):
    """Over a batch of two, whose boxes may be the same; the logits are those of a box alone."""
    upsnet = build_model(permissive(upsnet_config)).eval()
    boxes = torch.tensor([[4.0, 8.0, 40.0, 50.0], [0.0, 0.0, 63.0, 63.0], [20.0, 4.0, 60.0, 30.0]])
    entries = [InstanceData(bboxes=boxes[index]) for index in ([0, 1], [0], [2, 1, 0], [])]
    seen = []
    head = upsnet.roi_head._mask_forward
    upsnet.roi_head._mask_forward = lambda features, rois: (
        seen.append(len(rois)) or head(features, rois)
    )
    with torch.no_grad():
        features = upsnet.extract_feat(images(2))
        shared = upsnet._mask_logits(features, entries)
        alone = upsnet._mask_logits(features, entries[:2]) + upsnet._mask_logits(
            features, entries[2:]
        )
    assert seen == [4, 3, 3]  # two images: boxes 0, 1 and 2 of the first, box 0 of the second
    for one, other in zip(shared, alone, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    nothing = InstanceData(bboxes=boxes[:0])
    with torch.no_grad():
        assert [len(x) for x in upsnet._mask_logits(features, [nothing] * 4)] == [0] * 4
