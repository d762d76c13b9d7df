"""Training target and loss of the panoptic head."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmext.upsnet.panoptic_logits import panoptic_logits
from mmext.upsnet.panoptic_targets import (
    IGNORE_CHANNEL,
    panoptic_cross_entropy,
    panoptic_targets,
    sample_kept_instances,
    subsample,
)

torch.set_num_threads(1)


@pytest.mark.parametrize(('count', 'kept'), [(0, 0), (1, 1), (2, 1), (3, 2), (10, 7), (30, 21)])
def test_number_of_kept_instances(count, kept):
    indices = sample_kept_instances(count)
    assert indices.shape == (kept,)
    assert indices.dtype == torch.int64
    assert len(set(indices.tolist())) == kept
    assert all(0 <= index < count for index in indices.tolist())


def test_sampling_is_random_in_choice_and_order_and_repeatable():
    generator = torch.Generator().manual_seed(0)
    draws = [tuple(sample_kept_instances(4, 0.7, generator).tolist()) for _ in range(400)]
    assert len(set(draws)) == 4 * 3  # ordered pairs
    again = sample_kept_instances(4, 0.7, torch.Generator().manual_seed(0))
    assert tuple(again.tolist()) == draws[0]
    assert sorted(sample_kept_instances(5, 1.0).tolist()) == list(range(5))
    with pytest.raises(ValueError, match='keep_fraction'):
        sample_kept_instances(5, 0.0)


def test_subsample_reads_the_first_pixel_of_every_cell():
    image = torch.arange(64).view(8, 8)
    assert subsample(image).tolist() == [[0, 4], [32, 36]]
    nearest = F.interpolate(image[None, None].float(), scale_factor=0.25, mode='nearest')[0, 0]
    assert torch.equal(subsample(image), nearest.long())


def oracle(labels, masks, num_things, num_stuff, ignore_label, with_unknown):
    target = np.full(labels.shape, -2)
    for place, label in np.ndenumerate(labels):
        if label == ignore_label:
            target[place] = -1
        elif num_things <= label < num_things + num_stuff:
            target[place] = label - num_things
        elif not 0 <= label < num_things:
            target[place] = -1
    for number, mask in enumerate(masks):
        target[mask] = num_stuff + number
    target[target == -2] = num_stuff + len(masks) if with_unknown else -1
    return target


@pytest.mark.parametrize('with_unknown', [True, False])
def test_target_equals_the_oracle(with_unknown):
    rng = np.random.default_rng(0)
    for _ in range(100):
        num_things, num_stuff, count = (int(v) for v in rng.integers((1, 0, 0), (4, 4, 6)))
        values = [*range(num_things + num_stuff), 255, 200]
        labels, masks = rng.choice(values, (6, 7)), rng.random((count, 6, 7)) < 0.2
        arguments = num_things, num_stuff
        labels_before, masks_before = torch.tensor(labels), torch.tensor(masks)
        labels_given, masks_given = labels_before.clone(), masks_before.clone()
        actual = panoptic_targets(labels_given, masks_given, *arguments, with_unknown=with_unknown)
        np.testing.assert_array_equal(
            actual.numpy(), oracle(labels, masks, *arguments, 255, with_unknown)
        )
        assert torch.equal(labels_given, labels_before)
        assert torch.equal(masks_given, masks_before)


def test_target_by_hand():
    labels = torch.tensor([[0, 0, 1, 2, 255, 255]], dtype=torch.uint8)  # thing 0; stuff 1, 2
    masks = torch.tensor([[[1, 0, 1, 0, 1, 0]], [[0, 0, 1, 0, 0, 0]]]).bool()
    # instance over thing, hidden instance -> unknown, later instance over stuff, stuff,
    # instance over ignored, ignored
    assert panoptic_targets(labels, masks, 1, 2).tolist() == [[2, 4, 3, 1, 2, -1]]


def test_target_with_more_than_255_channels_has_no_hole():
    masks = torch.eye(300).bool()[:, None]  # [300, 1, 300]
    target = panoptic_targets(torch.zeros(1, 300, dtype=torch.uint8), masks, 1, 10)
    assert target.tolist() == [list(range(10, 310))]
    loss = panoptic_cross_entropy(torch.zeros(311, 1, 300), target)
    assert loss.item() == pytest.approx(np.log(311))


def test_target_shapes_must_fit():
    with pytest.raises(ValueError, match=r'\[n, 4, 4\]'):
        panoptic_targets(torch.zeros(4, 4), torch.zeros(2, 4, 5).bool(), 1, 1)


def test_loss_normalizations():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, 4, generator=generator, requires_grad=True)
    target = torch.randint(5, (3, 4), generator=generator)
    target[0] = IGNORE_CHANNEL
    log_probs = logits.log_softmax(dim=0)
    total = -sum(log_probs[target[y, x], y, x] for y in (1, 2) for x in range(4))
    torch.testing.assert_close(panoptic_cross_entropy(logits, target), total / 8)
    torch.testing.assert_close(panoptic_cross_entropy(logits, target, 'all_pixels'), total / 12)
    with pytest.raises(ValueError, match='normalization'):
        panoptic_cross_entropy(logits, target, 'mean')


def test_loss_without_a_valid_pixel_is_zero_with_a_gradient():
    logits = torch.randn(5, 3, 4, dtype=torch.bfloat16, requires_grad=True)
    loss = panoptic_cross_entropy(logits, torch.full((3, 4), IGNORE_CHANNEL))
    assert loss.dtype == torch.float32
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_perfect_logits_have_no_loss():
    labels = torch.tensor([[0, 0, 2, 2], [0, 0, 2, 1]])  # things 0, 1; stuff 2
    masks = (labels == 0)[None]
    semantic = 40 * F.one_hot(labels, 3).permute(2, 0, 1) - 20.0
    boxes = torch.tensor([[0.0, 0.0, 7.9, 7.9]])
    logits = panoptic_logits(semantic, torch.full((1, 28, 28), 20.0), boxes, torch.tensor([0]), 2)
    target = panoptic_targets(labels, masks, 2, 1)
    assert target.unique().tolist() == [0, 1, 2]
    assert panoptic_cross_entropy(logits, target) < 1e-6
