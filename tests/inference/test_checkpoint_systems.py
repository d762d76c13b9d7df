"""Every released model, by the list of its keys, and what is said of one taken for another."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.inference.checkpoint_conversion import convert_checkpoint
from mmext.inference.checkpoint_systems import (
    SYSTEMS,
    advice,
    build_without_values,
    differences,
)

ROOT = Path(__file__).parents[2]
Shapes = dict[str, tuple[int, ...]]
Read = Callable[[str], Shapes]

# list -> system, config, keys that the model has no use for
LISTS = {
    'centernet-point_dla34': ('centernet-points-dla', 'centernet.py', 12),
    'centernet-point_hourglass104': (
        'centernet-points-hourglass',
        'centernet/point-hourglass104_50e_coco.py',
        0,
    ),
    'centernet-point_resdcn18': (
        'centernet-points-resdcn',
        'centernet/point-r18-dcn_140e_coco.py',
        0,
    ),
    'centernet-triplet_hourglass52': (
        'centernet-triplet',
        'centernet/triplet-hourglass52_480k_coco.py',
        0,
    ),
    'centernet-triplet_hourglass104': (
        'centernet-triplet',
        'centernet/triplet-hourglass104_480k_coco.py',
        0,
    ),
    'retinaface_mobilenet025': (
        'retinaface',
        'retinaface/retinaface_mobilenet025_wider.py',
        0,
    ),
    'mobilenet025_imagenet': (
        'retinaface-backbone',
        'retinaface/retinaface_mobilenet025_wider.py',
        2,
    ),
    'upsnet_r50_coco': ('upsnet', 'upsnet/upsnet_r50_coco_released.py', 0),
    'upsnet_r101-dcn_coco': ('upsnet', 'upsnet/upsnet_r101-dcn_coco_released.py', 0),
    'upsnet_r50_cityscapes': ('upsnet', 'upsnet/upsnet_r50_cityscapes_released.py', 0),
    'upsnet_r101_cityscapes': ('upsnet', 'upsnet/upsnet_r101_cityscapes_released.py', 0),
    'vpsnet_fusetrack': ('vpsnet', 'vpsnet/vpsnet_r50_cityscapes-vps_released.py', 1),
    'yolact-edge_r101': ('yolact-edge', 'yolact_edge.py', 0),
    'yolact-edge-video_r101': (
        'yolact-edge-video',
        'yolact_edge/video_r101_youtube-vis.py',
        0,
    ),
    'yolact-edge_mobilenetv2': (
        'yolact-edge',
        'yolact_edge/yolact-edge_mobilenetv2_coco.py',
        24,
    ),
}


def weights(shapes: Shapes) -> dict[str, Tensor]:
    return {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}


def model_of(system: str, config: str) -> nn.Module:
    return build_without_values(load_config(f'mmext::{config}'), SYSTEMS[system].part)


def assert_complete(system: str, config: str, shapes: Shapes, dropped: int = 0) -> nn.Module:
    converted = SYSTEMS[system].convert(weights(shapes))
    model = model_of(system, config)
    assert differences(converted.state, model) == []
    assert len(converted.dropped) == dropped
    assert len(converted.state) == len(shapes) - dropped == len(model.state_dict())
    return model


def test_there_is_a_list_for_every_file() -> None:
    files = {path.stem for path in (ROOT / 'tests/data/checkpoint_keys').glob('*.txt')}
    assert files == LISTS.keys()


@pytest.mark.parametrize('name', LISTS)
def test_every_tensor_of_the_released_list(name: str, released_shapes: Read) -> None:
    system, config, dropped = LISTS[name]
    assert config in SYSTEMS[system].configs
    assert_complete(system, config, released_shapes(name), dropped)


@pytest.mark.parametrize(
    ('name', 'system', 'config', 'entries', 'parameters'),
    [
        (
            'centernet-point_dla34',
            'centernet-points-dla',
            'centernet/pose-dla34_140e_coco.py',
            410,
            20_112_346,
        ),
        (
            'centernet-point_hourglass104',
            'centernet-points-hourglass',
            'centernet/pose-hourglass104_50e_coco.py',
            1008,
            194_811_124,
        ),
    ],
)
def test_pose(
    name: str, system: str, config: str, entries: int, parameters: int, released_shapes: Read
) -> None:
    """The detector's list with the branches of key points; counts are those of the release."""
    shapes = released_shapes(name)
    centers = {key: shape for key, shape in shapes.items() if key.startswith('hm.')}
    outputs = {'hm': 1, 'hps': 34, 'hm_hp': 17, 'hp_offset': 2}
    for branch, channels in outputs.items():
        for key, shape in centers.items():
            renamed = branch + key.removeprefix('hm')
            shapes[renamed] = (channels, *shape[1:]) if shape[0] == 80 else shape
    assert len(shapes) == entries
    dropped = 12 if 'dla' in name else 0
    model = assert_complete(system, config, shapes, dropped)
    no_effect = 41_728 if dropped else 0  # values of what is dropped
    assert sum(p.numel() for p in model.parameters()) == parameters - no_effect


def test_resdcn101(released_shapes: Read) -> None:
    """The list of ResNet-18 with the backbone of ResNet-101, which has UPSNet's shapes."""
    shapes = {
        key: tuple(2048 if key.startswith('deconv_layers.0.') and n == 512 else n for n in shape)
        for key, shape in released_shapes('centernet-point_resdcn18').items()
        if not key.startswith(('conv1.', 'bn1.', 'layer'))
    }
    for key, shape in released_shapes('upsnet_r101_cityscapes').items():
        if key.startswith('resnet_backbone.conv1.'):
            shapes[key.removeprefix('resnet_backbone.conv1.')] = shape
        elif key.startswith('resnet_backbone.res'):
            stage, layer = key.removeprefix('resnet_backbone.res').split('.layers.')
            shapes[f'layer{int(stage) - 1}.{layer}'] = shape
    config = 'centernet/point-r101-dcn_140e_coco.py'
    model = assert_complete('centernet-points-resdcn', config, shapes)
    assert sum(p.numel() for p in model.parameters()) == 49_673_189


@pytest.mark.parametrize(
    'name',
    ['upsnet_r50_cityscapes', 'vpsnet_fusetrack', 'mobilenet025_imagenet'],
)
def test_a_checkpoint_of_another_system_is_named_with_its_command(
    name: str, released_shapes: Read
) -> None:
    system, config, _ = LISTS[name]
    other = Config.fromfile(ROOT / 'configs/_base_/models/retinaface_mobilenet025.py')
    assert advice(weights(released_shapes(name)), 'a.pth', other) == (
        f'; it is of {system}, convert it with: tools/convert_checkpoint.py {system} a.pth '
        f'--config mmext::{config} --out FILE'
    )


def test_another_variant_is_named_with_its_command(released_shapes: Read, tmp_path: Path) -> None:
    source = tmp_path / 'a.pth'
    shapes = released_shapes('retinaface_mobilenet025')
    torch.save({key: torch.zeros(shape) for key, shape in shapes.items()}, source)
    config = load_config('mmext::retinaface.py')
    with pytest.raises(InputError, match='different networks') as raised:
        convert_checkpoint('retinaface', str(source), config, tmp_path / 'out.pth')
    command = f'tools/convert_checkpoint.py retinaface {source} --config mmext::'
    assert str(raised.value).endswith(
        f'{command}retinaface/retinaface_mobilenet025_wider.py --out FILE'
    )
    assert '\n' not in str(raised.value)


def test_a_variant_that_was_not_published(released_shapes: Read) -> None:
    shapes = released_shapes('centernet-point_resdcn18')
    shapes['hm.2.weight'], shapes['hm.2.bias'] = (3, *shapes['hm.2.weight'][1:]), (3,)
    config = load_config('mmext::centernet/point-r18-dcn_140e_coco.py')
    said = advice(weights(shapes), 'a.pth', config)
    assert said.startswith('; it is of centernet-points-resdcn (xingyizhou/CenterNet')
    assert 'give the config that it was trained with' in said
    config.model.bbox_head.num_classes = 3
    converted = SYSTEMS['centernet-points-resdcn'].convert(weights(shapes))
    assert differences(converted.state, build_without_values(config)) == []


def test_a_checkpoint_of_ours_needs_no_conversion() -> None:
    config = Config.fromfile(ROOT / 'configs/_base_/models/retinaface_mobilenet025.py')
    state = build_without_values(config).state_dict()
    assert 'needs no conversion' in advice(state, 'a.pth', config)


def test_nothing_is_said_of_a_stranger() -> None:
    config = Config.fromfile(ROOT / 'configs/_base_/models/retinaface_mobilenet025.py')
    assert advice({'whatever': torch.zeros(1)}, 'a.pth', config) == ''


def test_differences_name_what_one_side_lacks() -> None:
    layer = nn.Conv2d(1, 1, 1)
    assert differences({'weight': torch.zeros(2, 1, 1, 1), 'scale': torch.zeros(1)}, layer) == [
        '1 keys of the model are not in it (bias)',
        '1 keys are unknown to the model (scale)',
        '1 keys have another shape (weight [2, 1, 1, 1] for [1, 1, 1, 1])',
    ]
    assert differences(layer.state_dict(), layer) == []
