"""What the host says when something is not installed, as one line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmcv.ops import RoIAlign
from mmdet.models.layers import DetrTransformerEncoder
from mmdet.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmengine.config import Config

from mmext.configuration import load_config
from mmext.errors import InputError, input_error
from mmext.host import import_mmdet
from mmext.host_errors import missing_import, missing_part

ALBU = dict(type='Albu', transforms=[dict(type='Blur')])
BERT = dict(type='BertModel', name='bert-base-uncased')
ENCODER = dict(num_layers=1, num_cp=1, layer_cfg={})


def line_of(function: Callable[[], object]) -> str:
    """The one line for an exception of the host."""
    import_mmdet()
    with pytest.raises(Exception) as caught:
        function()
    message = input_error(caught.value)
    assert message is not None and '\n' not in message
    return message


@pytest.mark.parametrize(
    ('build', 'needed', 'command'),
    [
        (lambda: TRANSFORMS.build(ALBU), "type='Albu'", 'albumentations'),
        (lambda: TRANSFORMS.build(dict(type='InstaBoost')), "type='InstaBoost'", 'instaboostfast'),
        (lambda: MODELS.build(BERT), "type='BertModel'", 'transformers'),
        (
            lambda: MODELS.build(dict(type='Detectron2Wrapper', detector={})),
            "type='Detectron2Wrapper'",
            'git+https://github.com/facebookresearch/detectron2',
        ),
        (lambda: DetrTransformerEncoder(**ENCODER), '', 'fairscale'),
        (
            lambda: METRICS.build(dict(type='CocoPanopticMetric')),
            "type='CocoPanopticMetric'",
            'git+https://github.com/cocodataset/panopticapi',
        ),
        (
            lambda: METRICS.build(dict(type='LVISMetric', ann_file='a.json')),
            "type='LVISMetric'",
            'lvis',
        ),
        (
            lambda: MODELS.build(dict(type='mmpretrain.TIMMBackbone')),
            "type='mmpretrain.TIMMBackbone'",
            'onedl-mmpretrain',
        ),
        (lambda: DATASETS.build(dict(type='DSDLDetDataset')), "type='DSDLDetDataset'", 'dsdl'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_a_package(build: Callable[[], object], needed: str, command: str) -> None:
    message = line_of(build)
    assert message.startswith('the package ') and needed in message
    assert f'pip install {command} ' in message


def test_torchvision_is_not_to_be_installed() -> None:
    layer = RoIAlign(2, use_torchvision=True)
    message = line_of(lambda: layer(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5)))
    assert message.startswith('the package torchvision is not installed; RoIAlign of the model')
    assert 'pip install' not in message


@pytest.mark.parametrize(
    ('config', 'operation', 'size'),
    [
        (dict(type='carafe', channels=64, scale_factor=2), 'carafe_forward', 8),
        (dict(type='carafe', channels=64, scale_factor=2, up_kernel=3), 'carafe_forward', 8),
    ],
)
def test_a_kernel_for_the_cpu(config: dict[str, Any], operation: str, size: int) -> None:
    from mmcv.cnn import build_upsample_layer

    layer = build_upsample_layer(config)
    message = line_of(lambda: layer(torch.zeros(1, 64, size, size)))
    assert f'operation {operation} has no CPU version (CARAFEPack of the model' in message
    assert 'GPU' in message


def test_a_kernel_for_a_gpu_asks_for_another_build() -> None:
    error = RuntimeError('nms_impl: implementation for device cuda:0 not found.\n')
    message = missing_part(error, str(error), 'mmcv/ops/nms.py')
    assert message is not None and 'nms was built without a version for cuda' in message


def test_masked_convolution_has_no_cpu_kernel() -> None:
    from mmcv.ops import MaskedConv2d

    layer = MaskedConv2d(1, 1, 3)
    mask = torch.ones(1, 4, 4)
    message = line_of(lambda: layer(torch.zeros(1, 1, 4, 4), mask))
    assert 'masked_im2col_forward' in message and 'MaskedConv2d' in message


@pytest.mark.parametrize(
    ('text', 'file'),
    [
        ('numpy is not installed', '/x/mmdet/a.py'),
        ('lvis is not installed', '/x/torch/a.py'),
        ('the model is broken', '/x/mmdet/a.py'),
    ],
    ids=['installed', 'not the host', 'another fault'],
)
def test_other_errors_are_not_taken_for_it(text: str, file: str) -> None:
    assert missing_part(RuntimeError(text), text, file) is None


def failed_import(name: str) -> ImportError:
    try:
        try:
            __import__(name)
        except ImportError:
            raise ImportError(f'Failed to import {name}')  # noqa: B904 - as mmengine
    except ImportError as error:
        return error
    raise AssertionError(name)


def test_custom_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'broken_project.py').write_text('from json import no_such_name\n')
    for module, expected in (
        ('mmpretrain.models', 'the package mmpretrain is not installed'),
        ('my_project.heads', "there is no module 'my_project'"),
        ('broken_project', 'failed: cannot import name'),
    ):
        message = missing_import(failed_import(module), [module])
        assert expected in message and module in message and '\n' not in message


def test_configs_name_the_package_they_import() -> None:
    with pytest.raises(InputError) as caught:
        load_config('mmdet::timm_example/retinanet_timm-tv-resnet50_fpn_1x_coco.py')
    assert 'pip install onedl-mmpretrain' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_custom_imports_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_heads.py').write_text('LOADED = True\n')
    file = tmp_path / 'config.py'
    file.write_text("custom_imports = dict(imports=['own_heads'], allow_failed_imports=False)\n")
    assert isinstance(load_config(str(file)), Config) and sys.modules['own_heads'].LOADED
    file.write_text("custom_imports = dict(imports=['no_heads'], allow_failed_imports=True)\n")
    with pytest.warns(UserWarning, match='no_heads failed to import'):
        load_config(str(file))
