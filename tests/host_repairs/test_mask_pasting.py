"""Pasting on a CPU, against the way that a GPU takes: sample the whole image."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmdet.models.roi_heads.mask_heads import fcn_mask_head
from mmdet.models.roi_heads.mask_heads.dynamic_mask_head import DynamicMaskHead
from mmengine.config import ConfigDict

from mmext.host import import_mmdet
from mmext.host_repairs import mask_pasting

HEIGHT, WIDTH = 16, 20
OUTSIDE = {
    'left': [-30.0, 2.0, -10.0, 9.0],
    'right': [22.0, 2.0, 25.0, 9.0],
    'above': [2.0, -30.0, 5.0, -10.0],
    'below': [2.0, 30.0, 5.0, 40.0],
    'at the edge': [21.0, 2.0, 25.0, 9.0],
}
INSIDE = {'inside': [3.0, 2.0, 11.0, 9.0], 'half': [-4.0, 2.0, 6.0, 30.0]}


@pytest.fixture(autouse=True)
def repaired() -> None:
    import_mmdet()


def paste(boxes: torch.Tensor, masks: torch.Tensor, skip_empty: bool) -> torch.Tensor:
    """Paste a mask into an empty image, as ``FCNMaskHead`` does on a CPU or on a GPU."""
    image = torch.zeros(1, HEIGHT, WIDTH)
    part, window = fcn_mask_head._do_paste_mask(masks, boxes, HEIGHT, WIDTH, skip_empty)
    image[(torch.tensor([0]), *window)] = part
    return image


@pytest.mark.parametrize('place', OUTSIDE)
def test_outside_is_empty_as_on_a_gpu(place: str) -> None:
    boxes, masks = torch.tensor([OUTSIDE[place]]), torch.ones(1, 1, 7, 7)
    pasted = paste(boxes, masks, skip_empty=True)
    assert not pasted.any()
    torch.testing.assert_close(pasted, paste(boxes, masks, skip_empty=False))


@pytest.mark.parametrize('place', INSIDE)
def test_inside_is_as_it_was(place: str) -> None:
    boxes, masks = torch.tensor([INSIDE[place]]), torch.rand(1, 1, 7, 7) + 0.5
    part, window = fcn_mask_head._do_paste_mask(masks, boxes, HEIGHT, WIDTH, True)
    unrepaired = inspect.unwrap(fcn_mask_head._do_paste_mask)
    expected, same = unrepaired(masks, boxes, HEIGHT, WIDTH, True)
    assert part.any() and window == same
    torch.testing.assert_close(part, expected)


def test_a_box_without_a_size_has_an_empty_mask() -> None:
    boxes = torch.tensor([[-5.0, -5.0, -5.0, -5.0]])
    assert not paste(boxes, torch.ones(1, 1, 7, 7), skip_empty=True).any()


def test_the_head_gives_empty_masks() -> None:
    head = DynamicMaskHead(num_convs=0, num_classes=1)
    boxes = torch.tensor([OUTSIDE['left'], INSIDE['inside']])
    masks = head._predict_by_feat_single(
        torch.full((2, 1, 28, 28), 9.0),
        boxes,
        torch.zeros(2, dtype=torch.long),
        dict(ori_shape=(HEIGHT, WIDTH), scale_factor=(1.0, 1.0)),
        ConfigDict(mask_thr_binary=0.5),
        rescale=True,
    )
    assert masks.shape == (2, HEIGHT, WIDTH)
    assert masks.sum(dim=(1, 2)).tolist() == [0, 8 * 7]


def test_the_fault_is_that_of_the_host() -> None:
    """If this fails the host has mended it, and the repair can go."""
    assert not mask_pasting.is_faulty(fcn_mask_head._do_paste_mask)
    assert mask_pasting.is_faulty(inspect.unwrap(fcn_mask_head._do_paste_mask))


def test_a_sound_host_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def sound(*_: Any) -> tuple[torch.Tensor, tuple[()]]:
        return torch.zeros(1, 4, 4), ()

    used: Callable[..., Any] = sound
    monkeypatch.setattr(fcn_mask_head, '_do_paste_mask', used)
    mask_pasting.repair()
    assert fcn_mask_head._do_paste_mask is sound
