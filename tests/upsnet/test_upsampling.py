"""Pieces of the upsampled map against the whole, and the whole against double precision."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mmext.upsnet import upsampling
from mmext.upsnet.box_windows import Window
from mmext.upsnet.upsampling import channel_maxima, upsample_window

torch.set_num_threads(1)


def whole(logits, factor):
    height, width = logits.shape[1] * factor, logits.shape[2] * factor
    return torch.stack([upsample_window(c, Window(0, height, 0, width), factor) for c in logits])


def random_logits(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 3


@pytest.mark.parametrize('factor', [1, 2, 4, 8])
@pytest.mark.parametrize('size', [(1, 1), (1, 7), (5, 1), (6, 9), (13, 40)])
def test_whole_map_is_the_interpolation(size, factor):
    logits = random_logits(2, *size)
    ours = whole(logits, factor)
    options = dict(scale_factor=factor, mode='bilinear', align_corners=False)
    exact = F.interpolate(logits[None].double(), **options)[0]
    # three roundings of the largest neighbour at most, as in the single precision kernel
    torch.testing.assert_close(ours.double(), exact, rtol=0, atol=3 * 2**-24 * logits.abs().max())
    torch.testing.assert_close(ours, F.interpolate(logits[None], **options)[0])


@pytest.mark.parametrize('factor', [1, 2, 4])
def test_a_window_equals_the_slice_of_the_whole_bit_by_bit(factor):
    rng = np.random.default_rng(0)
    for seed in range(60):
        h, w = (int(v) for v in rng.integers(1, 14, 2))
        logits = random_logits(1, h, w, seed=seed)
        top, left = int(rng.integers(0, h * factor)), int(rng.integers(0, w * factor))
        bottom = int(rng.integers(top + 1, h * factor + 1))
        right = int(rng.integers(left + 1, w * factor + 1))
        window = Window(top, bottom, left, right)
        assert torch.equal(
            upsample_window(logits[0], window, factor), window.view(whole(logits, factor)[0])
        )


@pytest.mark.parametrize('strip_values', [1, 500, 1 << 20])
@pytest.mark.parametrize('num_things', [0, 2, 5])
@pytest.mark.parametrize('factor', [1, 4])
def test_maxima_in_strips_equal_those_of_the_whole(monkeypatch, strip_values, num_things, factor):
    monkeypatch.setattr(upsampling, '_STRIP_VALUES_CPU', strip_values)
    for logits in (random_logits(5, 9, 7), random_logits(5, 9, 7).round(), torch.zeros(5, 2, 3)):
        before = logits.clone()
        maxima = channel_maxima(logits, num_things, factor)
        full = whole(logits, factor)
        stuff_first = torch.cat((full[num_things:], full[:num_things])).argmax(0)
        assert torch.equal(maxima.semantic_labels.long(), (stuff_first + num_things) % 5)
        if num_things < 5:
            assert torch.equal(maxima.stuff_logits, full[num_things:].amax(0))
            assert torch.equal(maxima.stuff_indices.long(), full[num_things:].argmax(0))
        if num_things > 0:
            assert torch.equal(maxima.thing_logits, full[:num_things].amax(0))
        assert torch.equal(logits, before)


def test_close_and_tiny_logits_are_told_apart():
    values = torch.tensor([1.0, 1.0 + 2**-23, 1e-25, 1.0001e-25, 0.0, -1e30])
    for first, second in ((1, 0), (3, 2), (2, 4), (4, 5)):
        logits = torch.stack((values[second], values[first], values[second])).view(3, 1, 1)
        assert channel_maxima(logits, 0, 1).semantic_labels.item() == 1


def test_errors():
    with pytest.raises(ValueError, match='num_things = 3'):
        channel_maxima(torch.zeros(2, 3, 3), 3)
    with pytest.raises(ValueError, match='power of two'):
        channel_maxima(torch.zeros(2, 3, 3), 1, 6)
