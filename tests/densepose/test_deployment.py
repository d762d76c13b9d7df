"""The exported dense part, run by onnxruntime, gives the maps of the model."""

import copy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from small_densepose import CROPS, TRUNKS, small_detector

from mmext.densepose.deployment import surface_network
from mmext.errors import InputError
from mmext.inference.onnx_export import export_onnx


@pytest.mark.parametrize('trunk', ['plain', 'non_local'])
def test_onnxruntime_says_the_same(trunk: str, tmp_path: Path) -> None:
    model = small_detector(trunk=TRUNKS[trunk], mask_confidence=True).eval()
    network = surface_network(model)
    path = tmp_path / 'surface.onnx'
    assert export_onnx(network, path, None) < 1e-3
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    regions = torch.randn(5, 8, 7, 7)
    found = session.run(list(network.output_names), {'regions': regions.numpy()})
    with torch.no_grad():
        expected = network(regions)
    for one, other in zip(found, expected, strict=True):
        assert one.shape[0] == 5
        assert one.shape[2:] == (28, 28)
        np.testing.assert_allclose(one, other.numpy(), atol=1e-3, rtol=1e-3)
    with pytest.raises(ValueError, match='--size'):
        export_onnx(network, path, (32, 32))


def test_a_network_of_crops_takes_pixels(tmp_path: Path) -> None:
    network = surface_network(small_detector(**copy.deepcopy(CROPS), num_coarse=15).eval())
    assert (network.channels, network.size_hw) == (3, (24, 24))
    assert export_onnx(network, tmp_path / 'surface.onnx', None) < 1e-3
    found = network(torch.randn(2, 3, 24, 24))
    assert [maps.shape[1:] for maps in found] == [(n, 24, 24) for n in (15, 25, 25, 25)]


def test_a_detector_without_the_task() -> None:
    model = small_detector()
    del model.roi_head.tasks['densepose']
    with pytest.raises(InputError, match='no task named densepose'):
        surface_network(model)
