"""Weights of the released objects as points (detection and pose) under our names.

The names are those of the networks of the released code; shapes are equal. What its
deformable convolution calls ``conv_offset_mask`` is mmcv's ``conv_offset``, channels in
the same order.
"""

from collections.abc import Mapping

from torch import Tensor

from mmext.centernet.checkpoint_keys_hourglass import HOURGLASS_KEYS
from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys

_BRANCHES = {
    'hm': 'center',
    'wh': 'size',
    'reg': 'offset',
    'hps': 'joint_vector',
    'hm_hp': 'joint_center',
    'hp_offset': 'joint_offset',
}
_NO_EFFECT = 'computed by the released network, but no output depends on it'

_HEAD_KEYS = tuple(
    Rename(rf'{source}\.([02])\.(weight|bias)', rf'bbox_head.stacks.0.{target}.\1.\2')
    for source, target in _BRANCHES.items()
)
_STACKED_HEAD_KEYS = tuple(
    Rename(rf'{source}\.(\d+)\.{old}\.(.+)', rf'bbox_head.stacks.\1.{target}.{new}.\2')
    for source, target in _BRANCHES.items()
    for old, new in ((r'0\.conv', 0), ('1', 2))
)

_BACKBONE_KEYS = (
    Rename(r'((?:conv|bn)1\..+)', r'backbone.\1'),
    Rename(r'(layer[1-4]\..+)', r'backbone.\1'),
)
_DLA_KEYS = (
    Rename(r'(base_layer|level[01])\.0\.(.+)', r'\1.conv.\2'),
    Rename(r'(base_layer|level[01])\.1\.(.+)', r'\1.bn.\2'),
    Drop(r'level[34]\.project\..+', _NO_EFFECT),
    Rename(r'(level.+\.project)\.0\.(.+)', r'\1.conv.\2'),
    Rename(r'(level.+\.project)\.1\.(.+)', r'\1.bn.\2'),
    Rename(r'(level.+\.root\..+)', r'\1'),
    Rename(r'(level.+)\.conv([12])\.(.+)', r'\1.conv\2.conv.\3'),
    Rename(r'(level.+)\.bn([12])\.(.+)', r'\1.conv\2.bn.\3'),
)


def _prefixed(line: Rename | Drop, source: str, target: str) -> Rename | Drop:
    if isinstance(line, Drop):
        return Drop(source + line.pattern, line.reason)
    return Rename(source + line.pattern, target + line.target)


def _aggregation_keys(source: str, target: str, inputs: int) -> tuple[Rename, ...]:
    """The maps of an aggregation count from 1 there and from 0 here."""
    kinds = {'proj': 'projections', 'node': 'nodes'}
    return tuple(
        line
        for number in range(1, inputs + 1)
        for line in (
            Rename(rf'{source}\.up_{number}\.(.+)', rf'{target}.ups.{number - 1}.\1'),
            *(
                Rename(
                    rf'{source}\.{kind}_{number}\.{old}(.+)',
                    rf'{target}.{name}.{number - 1}.{new}\1',
                )
                for kind, name in kinds.items()
                for old, new in (
                    (r'conv\.conv_offset_mask\.', '0.conv_offset.'),
                    (r'conv\.', '0.'),
                    (r'actf\.0\.', '1.'),
                )
            ),
        )
    )


_DLA_MODEL_KEYS = (
    *(_prefixed(line, r'base\.', 'backbone.') for line in _DLA_KEYS),
    *(
        line
        for number in range(3)
        for line in _aggregation_keys(rf'dla_up\.ida_{number}', f'neck.rounds.{number}', number + 1)
    ),
    *_aggregation_keys('ida_up', 'neck.merge', 2),
    *_HEAD_KEYS,
)
_RESNET_MODEL_KEYS = (
    *_BACKBONE_KEYS,
    *(
        Rename(rf'deconv_layers\.{6 * step + place}\.{old}(.+)', rf'neck.steps.{step}.{new}\1')
        for step in range(3)
        for place, old, new in (
            (0, r'conv_offset_mask\.', 'conv.0.conv_offset.'),
            (0, '', 'conv.0.'),
            (1, '', 'conv.1.'),
            (3, '', 'up.conv.'),
            (4, '', 'up.bn.'),
        )
    ),
    *_HEAD_KEYS,
)


def convert_dla(source: Mapping[str, Tensor]) -> Converted:
    """``ctdet_coco_dla_*`` and ``multi_pose_dla_*``.

    Args:
        source: the ``state_dict`` of the released file.

    Raises:
        ValueError: a key that the released network does not have.
    """
    return rename_keys(source, _DLA_MODEL_KEYS)


def convert_dla_imagenet(source: Mapping[str, Tensor]) -> Converted:
    """DLA-34 trained on ImageNet by the authors of DLA: the backbone alone."""
    return rename_keys(source, (*_DLA_KEYS, Drop(r'fc\..+', 'the classifier of ImageNet')))


def convert_resnet(source: Mapping[str, Tensor]) -> Converted:
    """``ctdet_coco_resdcn18`` and ``ctdet_coco_resdcn101``; arguments as above."""
    return rename_keys(source, _RESNET_MODEL_KEYS)


def convert_hourglass(source: Mapping[str, Tensor]) -> Converted:
    """``ctdet_coco_hg`` and ``multi_pose_hg_*``; arguments as above."""
    return rename_keys(source, (*HOURGLASS_KEYS, *_STACKED_HEAD_KEYS))
