"""Converted networks of the port give the port's raw outputs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from port_network import MobileNet, PortNetwork, ResNet50, randomise
from torch import nn

from mmext.retinaface.checkpoint_keys import convert, convert_backbone

ROOT = Path(__file__).parents[2]


def mobilenet_config() -> ConfigDict:
    return Config.fromfile(ROOT / 'configs/_base_/models/retinaface_mobilenet025.py').model


def resnet_config() -> ConfigDict:
    config = Config.fromfile(ROOT / 'configs/_base_/models/retinaface_r50.py').model
    config.backbone.update(base_channels=4, stem_channels=4, init_cfg=None)
    config.neck.update(in_channels=[32, 64, 128], out_channels=80)
    config.bbox_head.in_channels = 80
    return config


NETWORKS = {
    'mobilenet': (lambda: PortNetwork(MobileNet(), [64, 128, 256], 64), mobilenet_config),
    'resnet50': (lambda: PortNetwork(ResNet50(4), [32, 64, 128], 80), resnet_config),
}


@pytest.mark.parametrize('name', NETWORKS)
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_raw_outputs_are_equal(name: str, prefix: str, build_model: Callable) -> None:
    make_port, make_config = NETWORKS[name]
    port = randomise(make_port())
    source = {prefix + key: value for key, value in port.state_dict().items()}
    converted = convert(source)
    assert not converted.dropped and len(converted.state) == len(source)
    model = build_model(make_config()).eval()
    model.load_state_dict(converted.state, strict=True)
    images = torch.randn(2, 3, 96, 75) * 50
    with torch.no_grad():
        faces, boxes, landmarks = model(images)
        wanted = port(images)
    for ours, theirs in zip((faces, boxes, landmarks.flatten(2)), wanted, strict=True):
        assert theirs.std() > 0.01
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_classifier_starts_the_backbone(build_model: Callable) -> None:
    body = randomise(MobileNet())
    body.fc = nn.Linear(256, 1000)
    converted = convert_backbone({f'module.{k}': v for k, v in body.state_dict().items()})
    assert set(converted.dropped) == {'module.fc.weight', 'module.fc.bias'}
    backbone = build_model(mobilenet_config()).backbone.eval()
    backbone.load_state_dict(converted.state, strict=True)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for ours, theirs in zip(backbone(images), body(images), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_refuses_keys_of_another_network() -> None:
    with pytest.raises(ValueError, match=r'1 of 1 keys are unknown: roi_head\.weight'):
        convert({'roi_head.weight': torch.zeros(1)})
