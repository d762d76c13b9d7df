"""Encodings by hand, there and back, and at the edges of what a float holds."""

import math

import pytest
import torch

from mmext.retinaface.encoding import (
    Encoding,
    decode_boxes,
    decode_points,
    encode_boxes,
    encode_points,
)

PORT, PAPER = Encoding(0.1, 0.2), Encoding()
PRIOR = torch.tensor([100.0, 50.0, 32.0, 64.0])


def test_by_hand() -> None:
    box = torch.tensor([90.0, 40.0, 122.0, 72.0])  # centre (106, 56), 32 x 32
    deltas = encode_boxes(box, PRIOR, PORT)
    wanted = [6 / 3.2, 6 / 6.4, 0.0, math.log(0.5) / 0.2]
    assert deltas.tolist() == pytest.approx(wanted)
    assert encode_boxes(box, PRIOR, PAPER).tolist() == pytest.approx(
        [6 / 32, 6 / 64, 0, -0.6931472]
    )
    points = torch.tensor([[108.0, 34.0]])
    assert encode_points(points, PRIOR, PORT).tolist() == [[2.5, -2.5]]
    mesh = torch.tensor([[108.0, 34.0, 24.0]])
    assert encode_points(mesh, PRIOR, PAPER).tolist() == [[0.25, -0.25, 0.5]]


@pytest.mark.parametrize('encoding', [PORT, PAPER])
def test_there_and_back(encoding: Encoding) -> None:
    torch.manual_seed(0)
    priors = torch.rand(40, 4) * 100 + 8
    boxes = torch.rand(3, 40, 4) * 200
    boxes[..., 2:] += boxes[..., :2] + 1
    there = encode_boxes(boxes, priors, encoding)
    torch.testing.assert_close(decode_boxes(there, priors, encoding), boxes, rtol=1e-4, atol=1e-3)
    for dims in (2, 3):
        points = torch.rand(3, 40, 7, dims) * 300
        there = encode_points(points, priors, encoding)
        torch.testing.assert_close(decode_points(there, priors, encoding), points)


def test_finite_for_boxes_without_area_and_wild_outputs() -> None:
    empty = torch.tensor([100.0, 50.0, 100.0, 50.0])
    assert encode_boxes(empty, PRIOR, PORT).isfinite().all()
    assert decode_boxes(torch.full((4,), 1e4), PRIOR, PORT).isfinite().all()


def test_no_faces() -> None:
    assert encode_boxes(torch.zeros(0, 4), torch.zeros(0, 4), PORT).shape == (0, 4)
    assert decode_points(torch.zeros(0, 6, 3), torch.zeros(0, 4), PORT).shape == (0, 6, 3)
