"""Low precision and fast copies say what the model says."""

from typing import Any

import pytest
import torch
from small_estimator import POINTS, SIZE, boxes, build, images, sample

from mmext.inference.fast import fast
from mmext.landmarks.stacked_hourglass import BottleneckBlock
from mmext.registry import MODELS

HEADS: dict[str, dict[str, Any]] = {
    'heatmap': dict(type='mmext.HeatmapHead', deconv_channels=(8,)),
    'simcc': dict(type='mmext.SimCCHead', stride=8),
    'integral': dict(type='mmext.IntegralHead', deconv_channels=(8,)),
    'rle': dict(type='mmext.RegressionHead', loss_type='rle'),
}


def with_head(name: str) -> Any:
    return build(head=dict(HEADS[name], num_points=POINTS, in_channels=8))


def heights(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and scores of three boxes."""
    with torch.no_grad():
        (found,) = model.predict(images(1), [sample(boxes(1, 3))])
    return found.pred_instances.keypoints, found.pred_instances.keypoint_scores


@pytest.mark.parametrize('name', HEADS)
def test_a_fast_copy_says_the_same(name: str) -> None:
    model = with_head(name)
    expected, found = heights(model), heights(fast(model, 'fp32'))
    for one, other in zip(expected, found, strict=True):
        # a last bit may choose another one of two equal maxima
        assert (one - other).abs().median() < 1e-3
    low = heights(fast(model, 'bf16'))
    assert low[0].dtype == torch.float32
    assert (expected[1] - low[1]).abs().max() < 0.05
    if name in ('integral', 'rle'):  # means do not jump
        assert (expected[0] - low[0]).abs().max() < 0.05 * 96


@pytest.mark.parametrize('name', HEADS)
def test_losses_under_autocast_are_float32_and_near(name: str) -> None:
    model = with_head(name)
    features = [torch.randn(4, 8, 8, 6, generator=torch.Generator().manual_seed(0))]
    points = 0.2 + 0.6 * torch.rand(4, POINTS, 2, generator=torch.Generator().manual_seed(1))
    visible = torch.ones(4, POINTS)
    plain = model.head.loss(features, points, visible)
    with torch.autocast('cpu', torch.bfloat16):
        low = model.head.loss(features, points, visible)
    for key, value in plain.items():
        if 'loss' in key:
            assert low[key].dtype == torch.float32
            assert low[key].item() == pytest.approx(value.item(), rel=0.05, abs=1e-3)


def test_a_fast_copy_of_an_hourglass() -> None:
    torch.manual_seed(0)
    backbone = dict(type='mmext.StackedHourglass', num_points=POINTS, num_stacks=2, channels=8,
                    depth=2, stem_channels=(4, 4, 8))  # fmt: skip
    head = dict(type='mmext.HeatmapHead', num_points=POINTS, in_channels=None)
    model = build(backbone=backbone, head=head, input_size=SIZE)
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    copied = fast(model, 'fp32')
    expected, found = heights(model), heights(copied)
    blocks = [m for m in copied.modules() if isinstance(m, BottleneckBlock)]
    kept = [type(norm).__name__ for b in blocks for norm in (b.bn1, b.bn2, b.bn3)]
    assert kept == ['BatchNorm2d', 'Identity', 'Identity'] * len(blocks)
    assert (expected[1] - found[1]).abs().max() < 1e-4
    assert (expected[0] - found[0]).abs().median() < 1e-2
    assert MODELS.get('mmext.CropLandmarkEstimator') is type(model)
