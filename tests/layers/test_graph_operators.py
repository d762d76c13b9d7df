"""Operations of exported graphs against the layers whose place they take."""

import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from torch import Tensor

from mmext.errors import InputError
from mmext.layers.deform_conv import DeformConv2dPack, ModulatedDeformConv2dPack
from mmext.layers.graph_operators import kept_boxes
from mmext.layers.roi_pooling import PyramidPooling


def extractor(**layer: object) -> SingleRoIExtractor:
    return SingleRoIExtractor(
        dict(type='RoIAlign', output_size=3, **layer), out_channels=4, featmap_strides=[4, 8]
    )


@pytest.mark.parametrize('layer', [{}, dict(sampling_ratio=2), dict(aligned=False)])
def test_every_level_pools_every_box_to_the_same(layer: dict) -> None:
    torch.manual_seed(0)
    levels = [torch.randn(2, 4, 32, 24), torch.randn(2, 4, 16, 12)]
    rois = torch.tensor(
        [
            [0, 3.2, 5.1, 40, 60],
            [1, -9, -4, 300, 260],  # of the second level, over all borders
            [0, 10, 10, 10, 30],  # without width
            [1, 50, 60, 49, 90],  # inverted
            [1, 500, 500, 540, 530],  # outside
        ]
    )
    host = extractor(**layer)
    torch.testing.assert_close(PyramidPooling(host)(levels, rois), host(levels, rois))
    assert PyramidPooling(host)(levels, rois[:0]).shape == (0, 4, 3, 3)


def test_other_extractors_are_refused() -> None:
    other = extractor()
    other.roi_layers[0].pool_mode = 'max'
    with pytest.raises(InputError, match='SingleRoIExtractor with RoIAlign alone'):
        PyramidPooling(other)


@pytest.mark.parametrize('kind', [DeformConv2dPack, ModulatedDeformConv2dPack])
def test_a_deformable_layer_is_one_node_of_any_size(kind: type) -> None:
    torch.manual_seed(0)
    layer = kind(3, 5, 3, padding=1).eval()
    torch.nn.init.normal_(layer.conv_offset.weight, std=0.3)
    open_axes = ({0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(layer, (torch.rand(2, 3, 9, 8),), dynamic_shapes=open_axes)
        graphs = [m for m in program.graph_module.modules() if hasattr(m, 'graph')]
        nodes = [str(node.target) for graph in graphs for node in graph.graph.nodes]
        assert sum('mmext.deform_conv' in name for name in nodes) == 1
        image = torch.rand(1, 3, 13, 8)
        torch.testing.assert_close(program.module()(image), layer(image))


def greedy(boxes: Tensor, scores: Tensor, threshold: float) -> set[int]:
    """Plain loops: the best box, then the next that overlaps none of the kept."""
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[index], boxes[other]) <= threshold for other in kept):
            kept.append(index)
    return set(kept)


def overlap(first: Tensor, second: Tensor) -> float:
    sides = torch.minimum(first[2:], second[2:]) - torch.maximum(first[:2], second[:2])
    shared = float(sides.clamp(min=0).prod())
    areas = float((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod())
    return shared / (areas - shared)


def test_kept_boxes_are_those_of_plain_loops() -> None:
    torch.manual_seed(0)
    corners = torch.rand(2, 40, 2) * 30
    boxes = torch.cat([corners, corners + 4 + 10 * torch.rand(2, 40, 2)], 2)
    scores = torch.rand(2, 40)
    kept = kept_boxes(boxes, scores, 0.4, 0.0, 40)
    for image in range(2):
        assert set(kept[image].nonzero()[:, 0].tolist()) == greedy(boxes[image], scores[image], 0.4)
    high = kept_boxes(boxes, scores, 0.4, 0.5, 3)
    assert (high.sum(1) == 3).all() and not high[scores <= 0.5].any()
    assert kept_boxes(boxes[:, :0], scores[:, :0], 0.4, 0.0, 5).shape == (2, 0)
    assert not kept_boxes(boxes, scores, 0.4, 2.0, 5).any()
