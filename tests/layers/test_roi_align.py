"""Our RoIAlign and RoI extractor against the host's on a CPU."""

import pytest
import torch
from mmcv import ops
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor as HostExtractor

from mmext.layers.roi_align import RoIAlign, SingleRoIExtractor
from mmext.registry import MODELS


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def random_rois(count: int, images: int, size: float, largest: float) -> torch.Tensor:
    centres, extents = torch.rand(count, 2) * size, torch.rand(count, 2) * largest
    corners = torch.cat([centres - extents / 2, centres + extents / 2], 1)
    return torch.cat([torch.randint(images, (count, 1)).float(), corners], 1)


def value_and_grads(layer, features, rois):
    leaves = [feature.clone().requires_grad_() for feature in features]
    pooled = layer(leaves if len(leaves) > 1 else leaves[0], rois)
    pooled.backward(torch.linspace(-1, 1, pooled.numel()).view(pooled.shape))
    return [pooled.detach(), *(leaf.grad for leaf in leaves)]


def assert_same(ours, host, features, rois):
    for tensor, expected in zip(
        value_and_grads(ours, features, rois), value_and_grads(host, features, rois), strict=True
    ):
        limit = 1e-5 * max(float(expected.abs().max()), 1)
        torch.testing.assert_close(tensor, expected, rtol=0, atol=limit)


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('sampling_ratio', [0, 1, 2, 3])
@pytest.mark.parametrize('output_size', [7, (3, 14)])
def test_equals_the_host_layer(output_size, sampling_ratio, aligned):
    arguments = (output_size, 0.25, sampling_ratio, 'avg', aligned)
    rois = random_rois(60, 2, 60, 90)
    features = [torch.randn(2, 5, 13, 17)]
    assert_same(RoIAlign(*arguments), ops.RoIAlign(*arguments), features, rois)


def test_equals_the_host_layer_at_whole_cells():
    rois = random_rois(40, 1, 40, 60).round()
    features = [torch.randn(1, 5, 11, 11)]
    assert_same(RoIAlign(4, 0.25), ops.RoIAlign(4, 0.25), features, rois)


def test_max_pooling_is_the_host_kernel():
    rois, features = random_rois(5, 1, 20, 20), torch.randn(1, 3, 8, 8)
    arguments = (2, 0.5, 2, 'max')
    assert torch.equal(
        RoIAlign(*arguments)(features, rois), ops.RoIAlign(*arguments)(features, rois)
    )


@pytest.mark.parametrize('layer_type', ['RoIAlign', 'mmext.RoIAlign'])
def test_extractor_equals_the_host_extractor(layer_type):
    roi_layer = dict(output_size=3, sampling_ratio=0)
    common = dict(out_channels=4, featmap_strides=[4, 8, 16])
    config = dict(
        type='mmext.SingleRoIExtractor', roi_layer=dict(type=layer_type, **roi_layer), **common
    )
    ours = MODELS.build(config)
    assert type(ours) is SingleRoIExtractor
    assert all(type(layer) is RoIAlign for layer in ours.roi_layers)
    host = HostExtractor(roi_layer=dict(type='RoIAlign', **roi_layer), **common)
    features = [torch.randn(2, 4, 64 // 2**level, 64 // 2**level) for level in range(3)]
    rois = random_rois(50, 2, 250, 500)
    assert set(ours.map_roi_levels(rois, 3).tolist()) == {0, 1, 2}
    assert_same(ours, host, features, rois)


def test_extractor_without_rois():
    extractor = SingleRoIExtractor(dict(type='RoIAlign', output_size=2), 4, [4, 8])
    features = [torch.randn(1, 4, 8, 8), torch.randn(1, 4, 4, 4)]
    assert extractor(features, torch.zeros(0, 5)).shape == (0, 4, 2, 2)


def test_half_precision_features_work():
    features, rois = torch.randn(1, 3, 8, 8).bfloat16(), random_rois(5, 1, 20, 20)
    pooled = RoIAlign(2, 0.5)(features, rois)
    assert pooled.dtype == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_gpu_gives_the_same():
    features, rois = torch.randn(1, 3, 8, 8), random_rois(5, 1, 20, 20)
    layer = RoIAlign(2, 0.5)
    torch.testing.assert_close(layer(features.cuda(), rois.cuda()).cpu(), layer(features, rois))


def test_inclusive_ends_pool_up_to_the_last_pixel():
    """A box of 4 x 2 pixels, (2, 1) to (5, 2) both included, on features of its own grid."""
    features = torch.arange(80.0).view(1, 1, 8, 10)
    arguments = dict(output_size=2, spatial_scale=1.0, sampling_ratio=1, aligned=False)
    rois = torch.tensor([[0.0, 2, 1, 6, 3]])  # ends at the far edge of the last pixel
    before = rois.clone()
    pooled = RoIAlign(**arguments, inclusive_ends=True)(features, rois)
    # from (2, 1) to (5, 2): bins 1.5 wide and 0.5 high, sampled in their middles
    xs, ys = (2 + 0.75, 2 + 2.25), (1 + 0.25, 1 + 0.75)
    assert pooled[0, 0].tolist() == [[10 * y + x for x in xs] for y in ys]
    assert torch.equal(rois, before)


def test_the_extractor_hands_inclusive_ends_on():
    layer = dict(type='RoIAlign', output_size=2, sampling_ratio=2, inclusive_ends=True)
    extractor = SingleRoIExtractor(layer, out_channels=1, featmap_strides=[4, 8])
    assert all(layer.inclusive_ends for layer in extractor.roi_layers)
    boxes = torch.tensor([[0.0, 3, 3, 40, 44], [0, 5, 5, 150, 150]])
    features = [torch.randn(1, 1, 40, 40), torch.randn(1, 1, 20, 20)]
    plain = SingleRoIExtractor(
        dict(type='RoIAlign', output_size=2, sampling_ratio=2), 1, featmap_strides=[4, 8]
    )
    shorter = boxes - torch.tensor([0.0, 0, 0, 1, 1])
    assert torch.equal(extractor(features, boxes), plain(features, shorter))
