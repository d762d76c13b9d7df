"""Anchors of the released UPSNet."""

import math

import numpy as np
import torch

from mmext.registry import TASK_UTILS


def build(**changes: object):
    config = dict(type='mmext.RoundedAnchorGenerator', strides=[4, 8, 16, 32, 64], scales=[8])
    return TASK_UTILS.build(config | dict(ratios=[0.5, 1.0, 2.0], center_offset=0.5) | changes)


def test_the_published_anchors_of_stride_16() -> None:
    """Faster R-CNN prints them with ends that name the last pixel."""
    published = torch.tensor([[-84, -40, 99, 55], [-56, -56, 71, 71], [-36, -80, 51, 95]])
    assert torch.equal(build().base_anchors[2], published + torch.tensor([0.0, 0, 1, 1]))


def test_all_strides_against_the_original_arithmetic() -> None:
    """Corners as the original computes them: ends inclusive, widths plus one."""
    anchors = build(scales=[8, 16]).base_anchors
    for stride, ours in zip((4, 8, 16, 32, 64), anchors, strict=True):
        middle, rows = (stride - 1) / 2, []
        for ratio in (0.5, 1.0, 2.0):
            width = float(np.round(math.sqrt(stride * stride / ratio)))
            height = float(np.round(width * ratio))
            for scale in (8, 16):
                w, h = width * scale, height * scale
                corners = (middle - (w - 1) / 2, middle - (h - 1) / 2)
                rows.append([*corners, corners[0] + w - 1 + 1, corners[1] + h - 1 + 1])
        assert ours.tolist() == rows


def test_a_given_center() -> None:
    anchors = build(strides=[16], centers=[(0.0, 3.0)], center_offset=0.0).base_anchors[0]
    assert anchors[0].tolist() == [-92, 3 - 48, 92, 3 + 48]


def test_grid_goes_row_by_row() -> None:
    (grid,) = build(strides=[16]).grid_priors([(2, 3)], device='cpu')
    assert grid.shape == (18, 4)
    shift = grid - build(strides=[16]).base_anchors[0].repeat(6, 1)
    assert shift[3:6, 0].unique().tolist() == [16] and shift[9:12, 1].unique().tolist() == [16]
