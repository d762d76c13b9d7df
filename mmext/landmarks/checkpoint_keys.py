r"""Weights of published networks under our names.

pytorch-pose (``conv1``, ``hg.S.hg.L.P``, level 0 the deepest), princeton-vl's port (``pre``,
``hgs``) and FAN (``mS.b1_L``, level 1 the deepest) are one network here, that of
:mod:`.stacked_hourglass`; Keypoint R-CNN is detectron2's. Tensors are equal, none is changed.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys
from mmext.formats.detectron2_keys import detector_keys

_UNUSED = 'of a convolution that the released network builds but does not use'
_DEPTH = 4  # of all published hourglasses
_ALL = r'(?:model\.)?(?:module\.)?'  # princeton-vl's trainer stores both


def convert_pytorch_pose(source: Mapping[str, Tensor]) -> Converted:
    """``hg_s*_b*`` of bearpaw/pytorch-pose.

    Args:
        source: the ``state_dict`` of the released file.

    Raises:
        ValueError: a key that the released network does not have.
    """
    places = {0: 'up', 1: 'low1', 2: 'low3', 3: 'low2'}
    table = [
        Rename(r'conv1\.(.+)', r'backbone.conv.\1'),
        Rename(r'bn1\.(.+)', r'backbone.bn.\1'),
        Rename(r'layer([123])\.0\.downsample\.0\.(.+)', r'backbone.block\1.skip.\2'),
        Rename(r'layer([123])\.0\.((?:bn|conv)[123]\..+)', r'backbone.block\1.\2'),
        *(
            Rename(
                rf'hg\.(\d+)\.hg\.{level}\.{number}\.(.+)',
                rf'backbone.stacks.\1.hourglass.{_levels(_DEPTH - 1 - level)}{place}.\2',
            )
            for level in range(_DEPTH)
            for number, place in places.items()
            if number < 3 or level == 0
        ),
        Rename(r'res\.(\d+)\.(.+)', r'backbone.stacks.\1.blocks.\2'),
        Rename(r'fc\.(\d+)\.0\.(.+)', r'backbone.stacks.\1.conv.\2'),
        Rename(r'fc\.(\d+)\.1\.(.+)', r'backbone.stacks.\1.bn.\2'),
        Rename(r'score\.(\d+)\.(.+)', r'backbone.stacks.\1.score.\2'),
        Rename(r'fc_\.(\d+)\.(.+)', r'backbone.merges.\1.features.\2'),
        Rename(r'score_\.(\d+)\.(.+)', r'backbone.merges.\1.maps.\2'),
    ]
    return rename_keys(source, table)


def convert_princeton(source: Mapping[str, Tensor]) -> Converted:
    """Files of princeton-vl/pytorch_stacked_hourglass.

    Each of its residuals owns a convolution for the identity's place, used or not; those that are
    not used are dropped.

    Args:
        source: the ``state_dict`` of the released file.

    Raises:
        ValueError: a key that the released network does not have.
    """
    blocks = {'up1': 'up', 'low1': 'low1', 'low2': 'low2', 'low3': 'low3'}
    table: list[Rename | Drop] = [
        Rename(rf'{_ALL}pre\.0\.(conv|bn)\.(.+)', r'backbone.\1.\2'),
        *_unused_stem_skips(source),
        *(
            line
            for number, block in ((1, 1), (3, 2), (4, 3))
            for line in _princeton_block(rf'pre\.{number}', f'backbone.block{block}')
        ),
        Drop(rf'{_ALL}(?:hgs|features)\..+\.skip_layer\.conv\..+', _UNUSED),
        *(
            line
            for level in range(_DEPTH)
            for old, new in blocks.items()
            for line in _princeton_block(
                rf'hgs\.(\d+)\.0\.{re.escape(_levels(level))}{old}',
                rf'backbone.stacks.\1.hourglass.{_levels(level)}{new}.0',
            )
        ),
        *_princeton_block(r'features\.(\d+)\.0', r'backbone.stacks.\1.blocks.0'),
        Rename(rf'{_ALL}features\.(\d+)\.1\.(conv|bn)\.(.+)', r'backbone.stacks.\1.\2.\3'),
        Rename(rf'{_ALL}outs\.(\d+)\.conv\.(.+)', r'backbone.stacks.\1.score.\2'),
        Rename(
            rf'{_ALL}merge_features\.(\d+)\.conv\.conv\.(.+)', r'backbone.merges.\1.features.\2'
        ),
        Rename(rf'{_ALL}merge_preds\.(\d+)\.conv\.conv\.(.+)', r'backbone.merges.\1.maps.\2'),
    ]
    return rename_keys(source, table)


def convert_fan(source: Mapping[str, Tensor]) -> Converted:
    """FAN of 1adrianb/face-alignment.

    Args:
        source: the ``state_dict`` of the released file.

    Raises:
        ValueError: a key that the released network does not have.
    """
    places = {'b1': 'up', 'b2': 'low1', 'b3': 'low3'}
    hourglass = r'backbone.stacks.\1.hourglass.'
    table = [
        Rename(r'conv1\.(.+)', r'backbone.conv.\1'),
        Rename(r'bn1\.(.+)', r'backbone.bn.\1'),
        *(
            line
            for number in (2, 3, 4)
            for line in _fan_block(rf'conv{number}', f'backbone.block{number - 1}')
        ),
        *(
            line
            for level in range(1, _DEPTH + 1)
            for old, new in places.items()
            for line in _fan_block(
                rf'm(\d+)\.{old}_{level}', f'{hourglass}{_levels(_DEPTH - level)}{new}.0'
            )
        ),
        *_fan_block(r'm(\d+)\.b2_plus_1', f'{hourglass}{_levels(_DEPTH - 1)}low2.0'),
        *_fan_block(r'top_m_(\d+)', r'backbone.stacks.\1.blocks.0'),
        Rename(r'conv_last(\d+)\.(.+)', r'backbone.stacks.\1.conv.\2'),
        Rename(r'bn_end(\d+)\.(.+)', r'backbone.stacks.\1.bn.\2'),
        Rename(r'l(\d+)\.(.+)', r'backbone.stacks.\1.score.\2'),
        Rename(r'bl(\d+)\.(.+)', r'backbone.merges.\1.features.\2'),
        Rename(r'al(\d+)\.(.+)', r'backbone.merges.\1.maps.\2'),
    ]
    return rename_keys(source, table)


def convert_keypoint_rcnn(source: Mapping[str, Tensor]) -> Converted:
    """``keypoint_rcnn_*_FPN_*`` of detectron2: its ResNet, pyramid, both stages, the key points.

    Args:
        source: the ``model`` of the released file.

    Raises:
        ValueError: a key that the released network does not have.
    """
    second, points = r'roi_heads\.', 'roi_head.tasks.keypoints'
    table: list[Rename | Drop] = [
        *detector_keys(),
        *(
            Rename(
                rf'{second}keypoint_head\.conv_fcn{number}\.(.+)',
                rf'{points}.convs.{number - 1}.\1',
            )
            for number in range(1, 9)
        ),
        Rename(rf'{second}keypoint_head\.score_lowres\.(.+)', rf'{points}.deconv.\1'),
    ]
    return rename_keys(source, table)


def _levels(count: int) -> str:
    """So many levels below the outermost one."""
    return 'low2.' * count


def _princeton_block(source: str, target: str) -> tuple[Rename, ...]:
    """A residual; ``source`` has as many groups as ``target`` names."""
    last = re.compile(source).groups + 1
    return (
        Rename(rf'{_ALL}{source}\.(bn[123]\..+)', rf'{target}.\{last}'),
        Rename(rf'{_ALL}{source}\.(conv[123])\.conv\.(.+)', rf'{target}.\{last}.\{last + 1}'),
        Rename(rf'{_ALL}{source}\.skip_layer\.conv\.(.+)', rf'{target}.skip.\{last}'),
    )


def _unused_stem_skips(source: Mapping[str, Tensor]) -> list[Drop]:
    """The 1x1 convolutions of the stem's residuals that keep their width."""
    lines = []
    for key, value in source.items():
        found = re.fullmatch(r'.*pre\.(\d)\.skip_layer\.conv\.weight', key)
        if found and value.dim() == 4 and value.shape[0] == value.shape[1]:
            lines.append(Drop(rf'{_ALL}pre\.{found[1]}\.skip_layer\.conv\..+', _UNUSED))
    return lines


def _fan_block(source: str, target: str) -> tuple[Rename, ...]:
    """A residual; ``source`` has as many groups as ``target`` names."""
    last = re.compile(source).groups + 1
    return (
        Rename(rf'{source}\.((?:bn|conv)[123]\..+)', rf'{target}.\{last}'),
        Rename(rf'{source}\.downsample\.([02]\..+)', rf'{target}.skip.\{last}'),
    )
