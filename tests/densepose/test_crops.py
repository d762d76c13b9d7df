"""The surface from pixels: regions with a margin, cells at their centers, images that are shown."""

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_densepose import CROPS, TASK, pictures, sample, small_detector

from mmext.densepose.point_sampling import (
    compose_samples,
    grid_places,
    plain_samples,
    sample_all_channels,
)
from mmext.densepose.surface_decoding import decode_surface
from mmext.densepose.surface_losses import mask_targets
from mmext.errors import InputError


def crop_detector(**options: Any) -> Any:
    """A small detector whose surface is read off crops."""
    return small_detector(**copy.deepcopy(CROPS | options))


def test_a_detector_shows_its_images() -> None:
    model = crop_detector().eval()
    task = model.roi_head.tasks['densepose']
    images, samples = pictures(2), [sample(2, factor=2.0), sample(1)]
    with torch.no_grad():
        found = model.predict(images, copy.deepcopy(samples))
        frames = [each.pred_instances.surface_boxes for each in found]
        boxes = [each.pred_instances.bboxes for each in found]
        (direct, _) = task.predict(
            [images], [boxes[0] * 2, boxes[1]], [s.metainfo for s in samples], rescale=True
        )
    assert model.roi_head._images is None  # let go
    for one, other in zip(found[0].pred_instances.surface, direct['surface'], strict=True):
        assert (one == other).mean() > 0.999
    assert torch.equal(frames[0], direct['surface_boxes'])
    scores = found[0].pred_instances.surface_scores
    torch.testing.assert_close(scores, direct['surface_scores'], atol=1e-4, rtol=1e-3)
    assert ((scores > 0) & (scores < 1)).all()
    assert (
        'surface_scores'
        not in small_detector()
        .roi_head.tasks['densepose']
        .predict(
            [torch.zeros(1, 8, 24 // 2**i, 24 // 2**i) for i in range(5)], [boxes[1][:1]], [{}]
        )[0]
    )
    for surface, (_, _, width, height) in zip(
        found[0].pred_instances.surface, frames[0].tolist(), strict=True
    ):
        assert surface.shape == (3, height, width)


def test_a_detector_that_shows_none_is_named() -> None:
    model = crop_detector()
    model.__class__ = model.__class__.__mro__[2]  # mmdet's
    with pytest.raises(InputError, match=r'roi_head\.tasks\.densepose .*mmext\.PixelRCNN'):
        model.loss(pictures(1), [sample(1)])


def test_both_views_are_of_the_images() -> None:
    images = torch.stack([torch.eye(3)] * 3)[None]
    head = crop_detector().roi_head
    head.see(images)
    head.mirrored = [torch.zeros(1, 8, 1, 1)]
    task = SimpleNamespace(mirror=object(), reads_images=True)
    (seen,) = head._seen_by('densepose', task, [torch.zeros(1, 8, 1, 1)])
    (mirrored,) = head._views_of(task)['mirrored']
    assert torch.equal(seen, images)
    assert torch.equal(mirrored[0, 0], torch.eye(3).flip(1))


def test_a_detector_that_was_differentiated_is_copied() -> None:
    model = crop_detector().eval()
    images = pictures(1).requires_grad_() * 1
    (found,) = model.predict(images, [sample(1)])
    assert len(found.pred_instances.surface)
    copy.deepcopy(model)  # as explanations and fast copies do


def test_nobody_leaves_the_statistics_alone() -> None:
    model = crop_detector()
    trunk = model.roi_head.tasks['densepose'].trunk
    before = copy.deepcopy(trunk.state_dict())
    model.loss(pictures(1), [sample(0)])
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())
    assert all(module.training for module in trunk.modules())
    trunk.stem[0][1].eval()  # frozen by its user
    model.loss(pictures(1), [sample(0)])
    assert [module for module in trunk.modules() if not module.training] == [trunk.stem[0][1]]
    trunk.train()
    model.loss(pictures(1), [sample(2)])
    assert not torch.equal(
        before['stem.0.1.running_mean'], trunk.state_dict()['stem.0.1.running_mean']
    )


@pytest.mark.parametrize('factor', [1.0, 2.0])
def test_frames_hold_grown_boxes_within_the_image(factor: float) -> None:
    task = crop_detector().roi_head.tasks['densepose']
    meta = dict(scale_factor=(factor, factor), ori_shape=(60, 100), img_shape=(120, 200))
    inside, low, high = [10.0, 20, 20, 40], [-3, 0.2, 7, 10.2], [90, 50, 99.5, 59.5]
    boxes = torch.tensor([inside, low, high, [5, 5, 5, 5]])
    torch.testing.assert_close(task.regions_of(boxes)[0], torch.tensor([9.0, 18, 21, 42]))
    regions, frames = task.framed(boxes * factor, meta, rescale=True)
    assert frames.tolist() == [[9, 18, 12, 24], [0, 0, 8, 12], [89, 49, 11, 11], [5, 5, 1, 1]]
    corners = torch.cat([frames[:, :2], frames[:, :2] + frames[:, 2:]], dim=1)
    torch.testing.assert_close(regions, corners * factor)
    beside = torch.tensor([[-30.0, -30, -20, -20], [200, 200, 220, 220]])
    _, frames = task.framed(beside, meta, rescale=False)
    for x, y, width, height in frames.tolist():
        assert 0 <= x < x + width <= 200
        assert 0 <= y < y + height <= 120


@pytest.mark.parametrize('size', [24, 53, 96])
def test_places_are_learned_where_they_are_read(size: int) -> None:
    """A map that says of each cell where it is says of each point and pixel where these are."""
    small = 12
    ramp = ((torch.arange(small) + 0.5) / small * size)[None, None, None].expand(1, 25, small, -1)
    points = torch.tensor([[x, size / 2] for x in np.linspace(0.1, 0.9, 17) * size])
    regions = torch.tensor([[0.0, 0, size, size]]).expand(len(points), 4)
    places = grid_places(points.float(), regions, 2 * small, aligned=True)
    samples = compose_samples(places, torch.zeros(len(points)).long(), small)
    found = sample_all_channels(ramp, samples)[:, 3]
    torch.testing.assert_close(found, points[:, 0].float(), atol=1e-4, rtol=1e-4)
    large = torch.nn.functional.interpolate(ramp, scale_factor=2, mode='bilinear')
    plain = plain_samples(places, torch.zeros(len(points)).long(), 2 * small)
    torch.testing.assert_close(sample_all_channels(large, plain)[:, 3], found)
    coarse, parts = torch.zeros(2, 24, 24), torch.zeros(25, 24, 24)
    coarse[1], parts[3] = 1, 1
    pixels = decode_surface(coarse, parts, large[0], large[0], (size, size))
    inner = slice(size // 10, -size // 10)
    centers = (torch.arange(size) + 0.5)[inner]
    torch.testing.assert_close(pixels.u[size // 2][inner], centers, atol=1e-3, rtol=1e-4)


def test_masks_are_learned_where_they_are_read() -> None:
    canvas = torch.zeros(1, 256, 256, dtype=torch.uint8)
    canvas[:, :, 128:] = 1
    frame = torch.tensor([[[0.0, 0], [64, 0], [0, 64]]])
    region = torch.tensor([[-0.4, 0, 63.6, 64]])
    released = mask_targets(canvas, frame, region, torch.tensor([0]), 64)
    aligned = mask_targets(canvas, frame, region, torch.tensor([0]), 64, aligned=True)
    assert released[0, 1].nonzero()[0].item() == 33  # its left edge lies at 32.6 px
    assert aligned[0, 1].nonzero()[0].item() == 32  # its center at 32.1


def test_bad_options() -> None:
    for wrong in (dict(margin=-0.1), dict(decoder=TASK['decoder'])):
        with pytest.raises(InputError, match='margin from 0 to 1 and no decoder'):
            crop_detector(**wrong)
