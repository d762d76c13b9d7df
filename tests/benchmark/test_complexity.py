"""Parameters and multiply-adds against a count by hand."""

from typing import Any

import pytest
import torch
from mmcv.ops import DeformConv2dPack as HostDeformConv
from mmcv.ops import ModulatedDeformConv2dPack
from torch import Tensor, nn

from mmext.benchmark.complexity import measure_complexity
from mmext.layers.deform_conv import DeformConv2dPack
from mmext.layers.roi_align import RoIAlign

HEIGHT, WIDTH, INPUTS, OUTPUTS = 12, 10, 4, 6


class Detector(nn.Module):
    """One layer in the form of a detector: refuses to run without data samples."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Tensor:
        if data_samples is None:
            raise TypeError('no samples')
        return self.layer(inputs)


def batch() -> dict[str, Any]:
    return {'inputs': torch.rand(1, INPUTS, HEIGHT, WIDTH), 'data_samples': ['sample']}


def test_counts_a_convolution() -> None:
    detector = Detector(nn.Conv2d(INPUTS, OUTPUTS, 3, padding=1)).eval()
    found = measure_complexity(detector, batch())
    assert found.parameters == OUTPUTS * INPUTS * 9 + OUTPUTS
    assert found.flops == HEIGHT * WIDTH * OUTPUTS * INPUTS * 9
    assert found.shape == (HEIGHT, WIDTH)
    assert (found.uncounted, found.problem) == ({}, '')
    assert 'forward' not in vars(detector)


@pytest.mark.parametrize(
    ('kind', 'offsets'),
    [(DeformConv2dPack, 18), (HostDeformConv, 18), (ModulatedDeformConv2dPack, 27)],
)
def test_counts_a_deformable_convolution_as_a_plain_one(kind: type, offsets: int) -> None:
    """Whichever implementation runs; the layer that predicts the offsets comes on top."""
    detector = Detector(kind(INPUTS, OUTPUTS, 3, padding=1)).eval()
    found = measure_complexity(detector, batch())
    assert found.flops == HEIGHT * WIDTH * (OUTPUTS + offsets) * INPUTS * 9
    assert not any('Deform' in name or 'Multiply' in name for name in found.uncounted)


def test_names_what_has_no_count() -> None:
    class Pool(nn.Module):
        """RoIAlign of mmcv on one box."""

        def forward(self, x: Tensor) -> Tensor:
            from mmcv.ops import roi_align

            boxes = torch.tensor([[0.0, 0, 0, 4, 4]])
            return roi_align(x, boxes, (2, 2)) + roi_align(x, boxes, (2, 2))

    found = measure_complexity(Detector(Pool()), batch())
    assert found.flops == 0
    assert found.uncounted == {'RoIAlignFunction': 2}


def test_our_roi_align_has_its_name() -> None:
    class Pool(nn.Module):
        """RoIAlign of ours on one box."""

        def forward(self, x: Tensor) -> Tensor:
            return RoIAlign(2, 1.0)(x, torch.tensor([[0.0, 0, 0, 4, 4]]))

    assert measure_complexity(Detector(Pool()), batch()).uncounted == {'RoIAlign': 1}


def test_a_model_that_cannot_be_traced_is_reported() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise NotImplementedError('two frames expected\nand more')

    detector = Detector(Broken())
    found = measure_complexity(detector, batch())
    assert found.flops is None
    assert found.problem == 'NotImplementedError: two frames expected'
    assert 'forward' not in vars(detector)
