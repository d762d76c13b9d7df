import pytest
import torch
from torch.nn.functional import max_pool2d

from mmext.centernet.point_decoding import (
    average_flipped,
    decode_points,
    frame_transform,
    merge_flipped_scores,
    to_pixels,
)


def published_decoding(
    center: torch.Tensor, sizes: torch.Tensor, offsets: torch.Tensor, k: int
) -> torch.Tensor:
    """Section 4 with the two top-K of the released code, for one image: [k, 6]."""
    scores = center.sigmoid()
    scores = scores * (max_pool2d(scores, 3, 1, 1) == scores)
    width = scores.shape[2]
    per_class, index = scores.flatten(1).topk(k)
    best, order = per_class.flatten().topk(k)
    rows = []
    for score, place in zip(best.tolist(), order.tolist(), strict=True):
        label, cell = place // k, int(index.flatten()[place])
        y, x = divmod(cell, width)
        cx, cy = x + float(offsets[0, y, x]), y + float(offsets[1, y, x])
        w, h = float(sizes[0, y, x]), float(sizes[1, y, x])
        rows.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, label])
    return torch.tensor(rows)


@pytest.mark.parametrize('classes', [1, 5])
def test_equals_the_published_decoding(classes: int) -> None:
    torch.manual_seed(classes)
    center = 2 * torch.randn(2, classes, 20, 24)
    sizes, offsets = 8 * torch.rand(2, 2, 20, 24), torch.rand(2, 2, 20, 24)
    found = decode_points(center, sizes, offsets, 30)
    for image in range(2):
        expected = published_decoding(center[image], sizes[image], offsets[image], 30)
        rows = torch.cat(
            [found.boxes[image], found.scores[image, :, None], found.labels[image, :, None]], 1
        )
        assert torch.allclose(rows, expected, atol=1e-5)


def test_without_offsets_the_centre_is_that_of_the_cell() -> None:
    center = torch.full((1, 1, 4, 4), -9.0)
    center[0, 0, 1, 2] = 5
    found = decode_points(center, torch.full((1, 2, 4, 4), 2.0), None, 1)
    assert found.boxes[0, 0].tolist() == [1.5, 0.5, 3.5, 2.5]


def test_flip_of_a_symmetric_answer_changes_nothing() -> None:
    torch.manual_seed(0)
    plain = torch.randn(2, 3, 4, 6)
    mirrored = torch.cat([plain, plain.flip(3)])
    assert torch.allclose(merge_flipped_scores(mirrored), plain, atol=1e-5)
    assert torch.equal(average_flipped(mirrored), plain)


def test_flip_averages_probabilities() -> None:
    a, b = torch.tensor([0.2, 0.9]), torch.tensor([0.4, 0.1])
    maps = torch.stack([a, b.flip(0)]).logit().view(2, 1, 1, 2)
    assert torch.allclose(merge_flipped_scores(maps).sigmoid().flatten(), (a + b) / 2)


def test_flip_with_channels_that_swap() -> None:
    plain = torch.arange(6.0).view(1, 3, 1, 2)
    mirrored = plain[:, [1, 0, 2]].flip(3)
    merged = average_flipped(torch.cat([plain, mirrored]), torch.tensor([1, 0, 2]))
    assert torch.equal(merged, plain)


def test_frames() -> None:
    meta = dict(batch_input_shape=(96, 128))
    assert frame_transform(meta, (24, 32), True) == ((4, 4), (0, 0))
    meta |= dict(border=[3, 5, 7, 9], scale_factor=(0.5, 0.25))
    assert frame_transform(meta, (24, 32), False) == ((4, 4), (-7, -3))
    assert frame_transform(meta, (24, 32), True) == ((8, 16), (-14, -12))
    with pytest.raises(ValueError, match='batch_input_shape: missing'):
        frame_transform({}, (24, 32), True)


def test_to_pixels_keeps_any_shape() -> None:
    metas = [dict(batch_input_shape=(8, 8)), dict(batch_input_shape=(16, 8), scale_factor=(2, 1))]
    boxes = torch.arange(8.0).view(2, 1, 4)
    assert to_pixels(boxes, metas, (4, 4), True).tolist() == [[[0, 2, 4, 6]], [[4, 20, 6, 28]]]
    points = torch.ones(2, 3, 5, 2)
    moved = to_pixels(points, metas, (4, 4), True)
    assert moved.shape == points.shape
    assert moved[1, 2, 4].tolist() == [1, 4]
