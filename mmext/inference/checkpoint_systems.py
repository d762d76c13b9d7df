"""The kinds of checkpoints that can be converted, and which of them one is of.

A system's converter is a pure function ``state dict -> Converted``. A checkpoint is of a system
when its converter knows every key, and of the variant whose model takes the result.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmext.configuration import load_config, remove_pretrained
from mmext.formats.checkpoint_keys import Converted

_NAMED_KEYS = 3  # keys named in a message


class System(NamedTuple):
    """A kind of checkpoint that can be converted."""

    converter: str
    """``module:function``, takes a state dict and returns a ``Converted``."""
    source: str
    """What checkpoints it takes."""
    configs: tuple[str, ...]
    """Of the published variants, below ``configs/``."""
    part: str = ''
    """The module of the model that the result belongs to; empty is the whole model."""

    def convert(self, weights: Mapping[str, Tensor]) -> Converted:
        """Convert a state dict.

        Raises:
            ValueError: it is of another system.
        """
        module, function = self.converter.split(':')
        converter = getattr(importlib.import_module(module), function)
        return cast('Callable[[Mapping[str, Tensor]], Converted]', converter)(weights)


SYSTEMS = {
    'centernet-points-dla': System(
        'mmext.centernet.checkpoint_keys_points:convert_dla',
        'xingyizhou/CenterNet, ctdet_coco_dla or multi_pose_dla',
        ('centernet.py', 'centernet/pose-dla34_140e_coco.py'),
    ),
    'centernet-points-hourglass': System(
        'mmext.centernet.checkpoint_keys_points:convert_hourglass',
        'xingyizhou/CenterNet, ctdet_coco_hg or multi_pose_hg',
        (
            'centernet/point-hourglass104_50e_coco.py',
            'centernet/pose-hourglass104_50e_coco.py',
        ),
    ),
    'centernet-points-resdcn': System(
        'mmext.centernet.checkpoint_keys_points:convert_resnet',
        'xingyizhou/CenterNet, ctdet_coco_resdcn18 or ctdet_coco_resdcn101',
        ('centernet/point-r18-dcn_140e_coco.py', 'centernet/point-r101-dcn_140e_coco.py'),
    ),
    'centernet-triplet': System(
        'mmext.centernet.checkpoint_keys_triplet:convert',
        'Duankaiwen/CenterNet, CenterNet-52 or CenterNet-104',
        (
            'centernet/triplet-hourglass52_480k_coco.py',
            'centernet/triplet-hourglass104_480k_coco.py',
        ),
    ),
    'dla34-imagenet': System(
        'mmext.centernet.checkpoint_keys_points:convert_dla_imagenet',
        'the ImageNet DLA-34 of ucbdrive/dla',
        ('centernet.py',),
        part='backbone',
    ),
    'fan': System(
        'mmext.landmarks.checkpoint_keys:convert_fan',
        'FAN of 1adrianb/face-alignment, four stacks',
        ('landmarks/fan4_300w.py',),
    ),
    'hourglass-princeton': System(
        'mmext.landmarks.checkpoint_keys:convert_princeton',
        'princeton-vl/pytorch_stacked_hourglass, two or eight stacks',
        ('landmarks/hourglass2_mpii.py', 'landmarks.py'),
    ),
    'hourglass-pytorch-pose': System(
        'mmext.landmarks.checkpoint_keys:convert_pytorch_pose',
        'bearpaw/pytorch-pose, hg_s2_b1 or hg_s8_b1',
        (
            'landmarks/hourglass2_pytorch-pose_mpii.py',
            'landmarks/hourglass8_pytorch-pose_mpii.py',
        ),
    ),
    'densepose': System(
        'mmext.densepose.checkpoint_keys:convert',
        'DensePose of detectron2 (schedule s1x)',
        (
            'densepose.py',
            'densepose/r101_fpn_coco.py',
            'densepose/r50-deeplab_fpn_coco.py',
            'densepose/r50-wc2m_fpn_coco.py',
        ),
    ),
    'keypoint-rcnn': System(
        'mmext.landmarks.checkpoint_keys:convert_keypoint_rcnn',
        'Keypoint R-CNN of detectron2, ResNet-50 with FPN',
        ('landmarks/keypoint-rcnn_r50_fpn_coco.py',),
    ),
    'cyclegan-generator': System(
        'mmext.translation.checkpoint_keys:convert_residual',
        'junyanz/pytorch-CycleGAN-and-pix2pix, a residual generator (G, G_A or G_B)',
        ('translation/cyclegan_256_released.py',),
        part='generator_ab',
    ),
    'cyclegan-discriminator': System(
        'mmext.translation.checkpoint_keys:convert_patches',
        'junyanz/pytorch-CycleGAN-and-pix2pix, patches with instance norm (D_A judges B)',
        ('translation/cyclegan_256_released.py',),
        part='discriminator_b',
    ),
    'pix2pix-generator': System(
        'mmext.translation.checkpoint_keys:convert_unet',
        'junyanz/pytorch-CycleGAN-and-pix2pix, unet_256 with batch norm',
        ('translation/pix2pix_256.py',),
        part='generator',
    ),
    'pix2pix-discriminator': System(
        'mmext.translation.checkpoint_keys:convert_patches',
        'junyanz/pytorch-CycleGAN-and-pix2pix, patches with batch norm',
        ('translation/pix2pix_256.py',),
        part='discriminator',
    ),
    'spade-generator': System(
        'mmext.translation.checkpoint_keys:convert_spade',
        'NVlabs/SPADE, COCO-Stuff or Cityscapes (for non-commercial use)',
        (
            'translation/spade_256_coco-stuff_released.py',
            'translation/spade_512_cityscapes_released.py',
        ),
        part='generator',
    ),
    'spade-discriminator': System(
        'mmext.translation.checkpoint_keys:convert_spade_discriminator',
        'NVlabs/SPADE, the discriminators (for non-commercial use)',
        (
            'translation/spade_256_coco-stuff_released.py',
            'translation/spade_512_cityscapes_released.py',
        ),
        part='discriminator',
    ),
    'retinaface': System(
        'mmext.retinaface.checkpoint_keys:convert',
        'biubug6/Pytorch_Retinaface, MobileNetV1 x0.25 or ResNet-50',
        ('retinaface/retinaface_mobilenet025_wider.py', 'retinaface.py'),
    ),
    'retinaface-backbone': System(
        'mmext.retinaface.checkpoint_keys:convert_backbone',
        'the ImageNet MobileNetV1 x0.25 of biubug6/Pytorch_Retinaface',
        ('retinaface/retinaface_mobilenet025_wider.py',),
        part='backbone',
    ),
    'upsnet': System(
        'mmext.upsnet.checkpoint_keys:convert',
        'uber-research/UPSNet, any of its models',
        (
            'upsnet/upsnet_r50_coco_released.py',
            'upsnet/upsnet_r101-dcn_coco_released.py',
            'upsnet/upsnet_r50_cityscapes_released.py',
            'upsnet/upsnet_r101_cityscapes_released.py',
        ),
    ),
    'vpsnet': System(
        'mmext.vpsnet.checkpoint_keys:convert',
        'mcahny/vps, any of its models',
        (
            'vpsnet/vpsnet_r50_cityscapes-vps_released.py',
            'vpsnet/vpsnet_track_r50_cityscapes-vps_released.py',
            'vpsnet/vpsnet_fuse_r50_cityscapes-vps_released.py',
        ),
    ),
    'yolact-edge': System(
        'mmext.yolact_edge.checkpoint_keys:convert',
        'haotian-liu/yolact_edge or dbolya/yolact, an image model',
        (
            'yolact_edge.py',
            'yolact_edge/yolact-edge_r50_coco.py',
            'yolact_edge/yolact-edge_mobilenetv2_coco.py',
        ),
    ),
    'yolact-edge-video': System(
        'mmext.yolact_edge.checkpoint_keys:convert_video',
        'haotian-liu/yolact_edge, a video model',
        (
            'yolact_edge/video_r101_youtube-vis.py',
            'yolact_edge/video_r50_youtube-vis.py',
        ),
    ),
}


def build_without_values(config: Config, part: str = '') -> nn.Module:
    """Build a config's model, or a module of it, for its names and shapes alone.

    Takes the pretrained weights out of the config.
    """
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    with torch.device('meta'):
        model: nn.Module = MODELS.build(config.model)
    return model.get_submodule(part)


def differences(state: Mapping[str, Tensor], module: nn.Module) -> list[str]:
    """What keeps weights from being those of a module, one clause for each kind; empty if they are.

    Args:
        state: key -> tensor.
        module: its values do not matter.
    """
    own = module.state_dict()
    # files of torch before 0.4.1 have no counters of batches; they only count
    missing = [k for k in own if k not in state and not k.endswith('.num_batches_tracked')]
    unknown = [key for key in state if key not in own]
    misshapen = [
        f'{key} {list(state[key].shape)} for {list(own[key].shape)}'
        for key in state
        if key in own and state[key].shape != own[key].shape
    ]
    problems = (
        (missing, 'of the model are not in it'),
        (unknown, 'are unknown to the model'),
        (misshapen, 'have another shape'),
    )
    return [f'{len(keys)} keys {what} ({named(keys)})' for keys, what in problems if keys]


def advice(weights: Mapping[str, Tensor], source: str, config: Config) -> str:
    """What to do with a checkpoint that was taken for something else; empty if nobody knows.

    Args:
        weights: its state dict.
        source: its path.
        config: the one it was to be converted for.
    """
    if not differences(weights, build_without_values(config)):
        return '; its keys are those of the config already: it needs no conversion'
    for name, entry in SYSTEMS.items():
        try:
            state = entry.convert(weights).state
        except ValueError:
            continue
        for file in entry.configs:
            module = build_without_values(load_config(f'mmext::{file}'), entry.part)
            if not differences(state, module):
                command = f'tools/convert_checkpoint.py {name} {source} --config mmext::{file}'
                return f'; it is of {name}, convert it with: {command} --out FILE'
        return (
            f'; it is of {name} ({entry.source}), but of another size or number of classes than '
            'the published models: give the config that it was trained with'
        )
    return ''


def named(keys: list[str]) -> str:
    """The first few of many keys."""
    return ', '.join(keys[:_NAMED_KEYS]) + (', ...' if len(keys) > _NAMED_KEYS else '')
