"""Fast copies of a DensePose R-CNN say what the model says."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from small_densepose import TRUNKS, pictures, sample, small_detector

from mmext.inference.fast import fast


def surfaces(model: Any) -> tuple[Any, Any]:
    """The surfaces of two regions, whatever boxes the model finds, and all predictions."""
    task = model.roi_head.tasks['densepose']
    boxes = [torch.tensor([[10.0, 12, 71, 80], [4, 30, 50, 90]])]
    features = [
        torch.randn(1, 8, 24 // 2**i, 24 // 2**i, generator=torch.Generator().manual_seed(i))
        for i in range(5)
    ]
    with torch.no_grad():
        (found,) = task.predict(features, boxes, [{}])
        (whole,) = model.predict(pictures(1), [copy.deepcopy(sample(1))])
    return found['surface'], whole.pred_instances


@pytest.mark.parametrize('trunk', TRUNKS)
def test_a_fast_copy_says_the_same(trunk: str) -> None:
    model = small_detector(trunk=TRUNKS[trunk]).eval()
    expected, objects = surfaces(model)
    found, same_objects = surfaces(fast(model, 'fp32'))
    for one, other in zip(expected, found, strict=True):
        assert (one == other).mean() > 0.99
    torch.testing.assert_close(objects.scores, same_objects.scores, atol=1e-4, rtol=1e-3)
    assert len(same_objects.surface) == len(same_objects)
    quick = fast(model, 'bf16')
    with torch.no_grad():
        (low,) = quick.predict(pictures(1), [copy.deepcopy(sample(1))])
    assert not quick.fallback_reason
    low_objects = low.pred_instances
    for surface, (_, _, width, height) in zip(
        low_objects.surface, low_objects.surface_boxes.tolist(), strict=True
    ):
        assert surface.dtype == np.uint8
        assert surface.shape == (3, height, width)
    assert (objects.scores - low_objects.scores).abs().max() < 0.05
