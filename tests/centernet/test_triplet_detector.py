"""The detector: frames, flipped images, several scales, half precision."""

import copy

import pytest
import torch
from mmengine.structures import InstanceData
from tiny_triplets import build_tiny, excite, make_sample, tiny_config

from mmext.centernet.triplet_detector import CenterNetTripletTTA
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.registry import MODELS

EXACT = 'donot_use_mm_for_euclid_dist'


@pytest.fixture(scope='module')
def model():
    model = build_tiny().eval()
    excite(model)
    return model


def predict(model, images, samples, **options) -> list[InstanceData]:
    with torch.no_grad():
        predicted = model.predict(images, copy.deepcopy(samples), **options)
    return [sample.pred_instances for sample in predicted]


def assert_same(actual: InstanceData, expected: InstanceData, **tolerance) -> None:
    assert len(actual) == len(expected) > 10
    for key in ('bboxes', 'scores', 'labels', 'centers'):
        torch.testing.assert_close(actual[key], expected[key], **tolerance)


def test_results_are_boxes_with_their_centres(model) -> None:
    (found,) = predict(model, torch.randn(1, 3, 64, 64), [make_sample()])
    assert 10 < len(found) <= 100
    assert (found.scores.diff() <= 0).all() and (found.scores <= 1).all()
    assert (found.bboxes >= 0).all() and (found.bboxes <= 64).all()
    assert (found.centers > found.bboxes[:, :2]).all()
    assert (found.centers < found.bboxes[:, 2:]).all()


def test_a_batch_of_two_is_two_batches_of_one(model) -> None:
    images, samples = torch.randn(2, 3, 64, 64), [make_sample(), make_sample(seed=1)]
    both = predict(model, images, samples)
    for i in range(2):
        (alone,) = predict(model, images[i : i + 1], samples[i : i + 1])
        assert_same(both[i], alone, atol=1e-4, rtol=1e-4)


def test_a_flipped_image_has_flipped_boxes(model) -> None:
    images = torch.randn(1, 3, 64, 64)
    (found,) = predict(model, images, [make_sample()])
    (mirrored,) = predict(model, images.flip(3), [make_sample()])
    # the order of the views decides which centre counts: compare what both are sure of
    boxes = torch.tensor([64.0, 0, 64, 0]) - mirrored.bboxes * torch.tensor([1.0, -1, 1, -1])
    distances = torch.cdist(found.bboxes[:20], boxes[:, [2, 1, 0, 3]], compute_mode=EXACT).amin(1)
    assert (distances < 0.1).float().mean() > 0.8


def test_scale_factors_lead_back_to_the_image(model) -> None:
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        plain, plain_centers = model.candidates(images, [make_sample()])
        pairs, centers = model.candidates(images, [make_sample(scale_factor=(0.5, 0.25))])
    torch.testing.assert_close(pairs.boxes, plain.boxes * torch.tensor([2.0, 4, 2, 4]))
    torch.testing.assert_close(centers.points_xy, plain_centers.points_xy * torch.tensor([2.0, 4]))
    scaled = make_sample(scale_factor=(0.5, 0.25))
    (original,) = predict(model, images, [scaled], rescale=True)
    (framed,) = predict(model, images, [scaled], rescale=False)
    torch.testing.assert_close(framed.bboxes * torch.tensor([2.0, 4, 2, 4]), original.bboxes)


def test_a_border_is_taken_off(model) -> None:
    """An image pasted on a canvas, as RandomCenterCropPad does for the test."""
    images = torch.randn(1, 3, 64, 64)
    inner = make_sample(border=(4.0, 54.0, 8.0, 60.0))
    (cut,) = predict(model, images, [inner], rescale=True)
    assert (cut.bboxes[:, 2] <= 52).all() and (cut.bboxes[:, 3] <= 50).all()
    (framed,) = predict(model, images, [inner], rescale=False)
    torch.testing.assert_close(framed.bboxes, cut.bboxes + torch.tensor([8.0, 4, 8, 4]))
    torch.testing.assert_close(framed.centers, cut.centers + torch.tensor([8.0, 4]))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision(model, dtype: torch.dtype) -> None:
    images, samples = torch.randn(1, 3, 64, 64), [make_sample()]
    (full,) = predict(model, images, samples)
    (low,) = predict(copy.deepcopy(model).to(dtype), images.to(dtype), samples)
    assert low.bboxes.dtype == low.scores.dtype == torch.float32
    assert abs(len(low) - len(full)) <= 20
    torch.testing.assert_close(low.scores[:5], full.scores[:5], atol=0.05, rtol=0)


def test_half_precision_losses_do_not_overflow() -> None:
    model = build_tiny()
    images, samples = torch.randn(2, 3, 64, 64), [make_sample(5), make_sample(0, seed=1)]
    full = model.loss(images, samples)
    low = model.half().loss(images.half(), samples)
    for name, value in low.items():
        torch.testing.assert_close(value.float(), full[name].float(), rtol=0.05, atol=0.01)


def test_one_scale_is_the_detector_itself_but_for_merged_corners(model) -> None:
    tta = CenterNetTripletTTA(module=model)
    images, sample = 255 * torch.rand(3, 64, 64), make_sample()
    with torch.no_grad():
        (merged,) = tta.test_step(dict(inputs=[[images]], data_samples=[[copy.deepcopy(sample)]]))
        (single,) = model.test_step(dict(inputs=[images], data_samples=[copy.deepcopy(sample)]))
    merged, single = merged.pred_instances, single.pred_instances
    torch.testing.assert_close(merged.scores, single.scores)
    assert merged.labels.tolist() == single.labels.tolist()
    assert 0 < (merged.bboxes - single.bboxes).abs().max() < 64


def test_several_scales_meet_the_centres_of_scale_one(model) -> None:
    tta = MODELS.build(dict(type='mmext.CenterNetTripletTTA', module=tiny_config()))
    tta.module.load_state_dict(model.state_dict())
    tta.eval()
    inputs, samples = [], []
    for scale in (0.5, 1.0, 1.5):
        side = int(64 * scale)
        inputs.append([255 * torch.rand(3, side, side)])
        shape = dict(batch_input_shape=(side, side), scale_factor=(scale, scale))
        samples.append([make_sample(size=(side, side), ori_shape=(64, 64)).clone()])
        samples[-1][0].set_metainfo(shape)
    with torch.no_grad():
        (found,) = tta.test_step(dict(inputs=inputs, data_samples=copy.deepcopy(samples)))
        alone = tta.module.data_preprocessor(
            dict(inputs=inputs[1], data_samples=copy.deepcopy(samples[1])), False
        )
        _, centers = tta.module.candidates(alone['inputs'], alone['data_samples'])
    assert len(found.pred_instances) > 10
    distances = torch.cdist(found.pred_instances.centers, centers.points_xy[0], compute_mode=EXACT)
    assert (distances.amin(1) < 1e-4).all()
    assert (found.pred_instances.bboxes <= 64 + 1e-3).all()


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_a_training_step_in_mixed_precision(precision: str) -> None:
    """Heat-maps and losses stay in float32: their logarithms and counts do not fit into 16 bits."""
    losses = {}
    for choice in ('fp32', precision):
        model = build_tiny()
        inputs = list(
            torch.randint(256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
        )
        batch = dict(inputs=inputs, data_samples=[make_sample(4), make_sample(0, seed=1)])
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
        wrapper = PrecisionOptimWrapper(optimizer, precision=choice, loss_scale=64.0)
        wrapper.attach(model)
        losses[choice] = model.train_step(batch, wrapper)
        if wrapper.guards is not None:
            assert set(wrapper.guards.fired) >= {'heatmap heads', 'box and mask arithmetic'}
            wrapper.guards.remove()
        assert all(p.isfinite().all() for p in model.parameters())
    for name, value in losses['fp32'].items():
        torch.testing.assert_close(losses[precision][name], value, rtol=0.05, atol=0.01)
