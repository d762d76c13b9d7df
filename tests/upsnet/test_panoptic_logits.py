"""Training logits against a restatement with one window at a time."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmext.upsnet.panoptic_logits import panoptic_logits

torch.set_num_threads(1)


def oracle(semantic_logits, mask_logits, boxes, labels, num_things, rounding='official'):
    _, height, width = semantic_logits.shape
    stuff = semantic_logits[num_things:]
    unknown = semantic_logits[:num_things].max(dim=0).values
    seg_terms, channels = [], []
    for logits, box, label in zip(mask_logits, (boxes / 4).tolist(), labels.tolist(), strict=True):
        x1, y1, x2, y2 = (int(v) for v in box)
        end_x, end_y = x2 + 1, y2 + 1
        size = (max(end_y - y1, 1), max(end_x - x1, 1))
        if rounding == 'official':
            ends = zip(box[2:], (end_x, end_y), strict=True)
            end_x, end_y = (max(int(np.round(v)) + 1, end) for v, end in ends)
        seg = torch.zeros_like(unknown)
        for y in range(max(y1, 0), min(end_y, height)):
            for x in range(max(x1, 0), min(end_x, width)):
                seg[y, x] = semantic_logits[label, y, x]
        resized = F.interpolate(logits[None, None], size=size, mode='bilinear')[0, 0]
        mask = torch.zeros_like(unknown)
        for y in range(max(y1, 0), min(y2 + 1, height)):
            for x in range(max(x1, 0), min(x2 + 1, width)):
                mask[y, x] = resized[y - y1, x - x1]
        seg_terms.append(seg)
        channels.append(seg + mask)
    if seg_terms:
        unknown = unknown - torch.stack(seg_terms).max(dim=0).values
    return torch.stack([*stuff, *channels, unknown])


def random_image(rng, count=None, dtype=torch.float64, side=28):
    num_things, num_stuff = int(rng.integers(1, 4)), int(rng.integers(0, 4))
    h, w = (int(v) for v in rng.integers(1, 14, 2))
    count = int(rng.integers(0, 6)) if count is None else count
    corners = rng.uniform(-0.2, 1.2, (count, 2, 2)) * [w * 4, h * 4]
    boxes = np.sort(corners, axis=1).reshape(count, 4).round() / rng.choice([1, 2])
    if count and rng.random() < 0.2:
        boxes[0] = boxes[0, [2, 3, 0, 1]]
    return dict(
        semantic_logits=torch.tensor(rng.normal(0, 3, (num_things + num_stuff, h, w)), dtype=dtype),
        mask_logits=torch.tensor(rng.normal(0, 3, (count, side, side)), dtype=dtype),
        boxes_xyxy=torch.tensor(boxes, dtype=torch.float32),
        labels=torch.tensor(rng.integers(0, num_things, count)),
        num_things=num_things,
    )


@pytest.mark.parametrize('rounding', ['official', 'shared'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_equals_the_oracle(rounding, dtype):
    rng = np.random.default_rng(0)
    for _ in range(100):
        image = random_image(rng, dtype=dtype)
        actual = panoptic_logits(**image, rounding=rounding)
        expected = oracle(*image.values(), rounding)
        tolerance = 1e-10 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)
        if len(image['labels']):  # no rounding at all where nothing is resized
            stuff = len(image['semantic_logits']) - image['num_things']
            assert torch.equal(actual[:stuff], expected[:stuff])
            assert torch.equal(actual[-1], expected[-1])


def test_without_instances_stuff_and_the_largest_thing():
    image = random_image(np.random.default_rng(1), count=0)
    logits, num_things = image['semantic_logits'], image['num_things']
    expected = torch.cat((logits[num_things:], logits[:num_things].amax(0, keepdim=True)))
    assert torch.equal(panoptic_logits(**image), expected)


def test_the_unknown_channel_can_be_left_out():
    rng = np.random.default_rng(5)
    for _ in range(10):
        image = random_image(rng)
        with_unknown = panoptic_logits(**image)
        assert torch.equal(panoptic_logits(**image, with_unknown=False), with_unknown[:-1])


def test_gradient():
    rng = np.random.default_rng(2)
    for count in (1, 3):
        image = random_image(rng, count=count, side=4)
        semantic = image['semantic_logits'].requires_grad_()
        masks = image['mask_logits'].requires_grad_()
        others = {k: v for k, v in image.items() if not k.endswith('_logits')}
        assert torch.autograd.gradcheck(
            lambda s, m, others=others: panoptic_logits(s, m, **others), (semantic, masks)
        )


def test_half_precision_and_autocast_give_single_precision():
    image = random_image(np.random.default_rng(3), count=3, dtype=torch.bfloat16)
    exact = dict(image, semantic_logits=image['semantic_logits'].float())
    exact['mask_logits'] = image['mask_logits'].float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(panoptic_logits(**image), panoptic_logits(**exact))
    assert panoptic_logits(**image).dtype == torch.float32


def test_inputs_are_unchanged():
    image = random_image(np.random.default_rng(4), count=4)
    before = {k: v.clone() for k, v in image.items() if k != 'num_things'}
    panoptic_logits(**image)
    assert all(torch.equal(image[k], v) for k, v in before.items())
