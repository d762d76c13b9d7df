"""The exported network, run by onnxruntime, gives the points of the model."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from small_estimator import POINTS, SIZE, build, images

import mmext
from mmext.errors import InputError
from mmext.inference.onnx_export import export_onnx
from mmext.landmarks.deployment import LandmarkNetwork

HEADS = {
    'heatmap': dict(type='mmext.HeatmapHead', deconv_channels=(8,)),
    'simcc': dict(type='mmext.SimCCHead', stride=8),
    'integral': dict(type='mmext.IntegralHead', deconv_channels=(8,)),
}


@pytest.mark.parametrize('name', HEADS)
def test_onnxruntime_says_the_same(name: str, tmp_path: Path) -> None:
    head = dict(num_points=POINTS, in_channels=8, **HEADS[name])
    model = build(head=head, test_cfg=dict(flip=False))
    network = LandmarkNetwork(model).eval()
    path = tmp_path / 'points.onnx'
    assert export_onnx(network, path, None) < 1e-3
    crops = torch.nn.functional.interpolate(images(3), SIZE[::-1])
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    points, scores = session.run(['points', 'scores'], {'image': crops.numpy()})
    assert points.shape == (3, POINTS, 2)
    with torch.no_grad():
        expected, expected_scores = model.head.predict(model.extract_feat(crops.flip(1)))
    np.testing.assert_allclose(scores, expected_scores, atol=1e-3)
    apart = np.abs(points - (expected * torch.tensor(SIZE)).numpy())
    assert np.median(apart) < 1e-2
    with pytest.raises(InputError, match=r'its outputs are points, scores, .* of crops'):
        mmext.load(path)
    with pytest.raises(ValueError, match='--size'):
        export_onnx(network, path, (32, 32))
