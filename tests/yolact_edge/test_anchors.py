"""Anchors against plain loops, and against the host's generator told the same numbers."""

import pytest
import torch
from mmdet.models.task_modules import AnchorGenerator

from mmext.errors import InputError
from mmext.yolact_edge.anchor_generator import SquareAnchorGenerator
from mmext.yolact_edge.anchors import square_anchors

SIZES = [(69, 69), (35, 35), (18, 18), (9, 9), (5, 5)]


def test_equal_plain_loops_on_a_canvas_that_is_no_multiple() -> None:
    wanted = []
    for row in range(3):
        for column in range(5):
            x, y = (column + 0.5) / 5 * 39, (row + 0.5) / 3 * 22
            for ratio in (1.0, 0.5, 2.0):
                half = 12.0 * ratio**0.5 / 2
                wanted.append([x - half, y - half, x + half, y + half])
    torch.testing.assert_close(square_anchors((3, 5), (22, 39), 12.0), torch.tensor(wanted))


def test_released_anchors_at_550() -> None:
    """19,248 of them; the host's generator has no squares, but can be told their sides."""
    ours = SquareAnchorGenerator().grid_priors(SIZES, (550, 550))
    cells = [size[0] for size in SIZES]
    host = AnchorGenerator(
        strides=[550 / n for n in cells],
        ratios=[1.0],
        scales=[3.0, 3.0 / 2**0.5, 3.0 * 2**0.5],
        base_sizes=[8, 16, 32, 64, 128],
        centers=[(550 * 0.5 / n, 550 * 0.5 / n) for n in cells],
    )
    assert ours.shape == (19_248, 4)
    torch.testing.assert_close(
        ours, torch.cat(host.grid_priors(SIZES, device='cpu')), rtol=0, atol=2e-3
    )


def test_every_cell_of_a_wide_canvas_has_its_anchor() -> None:
    """On the host's, made for 550, the last column of a map of 1024 px is off by 3.6 px."""
    centers = SquareAnchorGenerator([24.0]).grid_priors([(128, 128)], (1024, 1024))
    centers = (centers[:, :2] + centers[:, 2:]) / 2
    assert centers[-1].tolist() == pytest.approx([1020.0, 1020.0], abs=1e-3)


def test_tall_anchors_keep_their_area_and_their_center() -> None:
    squares, tall = (
        SquareAnchorGenerator([24.0], aspect=aspect).grid_priors([(2, 3)], (16, 24))
        for aspect in (1.0, 2.25)
    )
    sides = tall[:, 2:] - tall[:, :2]
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.full((18,), 2.25))
    torch.testing.assert_close(sides.prod(1), (squares[:, 2:] - squares[:, :2]).prod(1))
    torch.testing.assert_close(tall[:, :2] + tall[:, 2:], squares[:, :2] + squares[:, 2:])


def test_an_empty_map() -> None:
    assert square_anchors((0, 4), (0, 32), 8.0).shape == (0, 4)


def test_wrong_numbers_are_named() -> None:
    with pytest.raises(InputError, match='scales_px, ratios and aspect over 0'):
        SquareAnchorGenerator([24, 0])
    with pytest.raises(InputError, match='and -1'):
        SquareAnchorGenerator(aspect=-1)
    with pytest.raises(InputError, match='2 scales_px for 1 levels'):
        SquareAnchorGenerator([24, 48]).grid_priors([(2, 2)], (16, 16))
