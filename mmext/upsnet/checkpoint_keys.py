r"""Keys of the released UPSNet checkpoints (uber-research/UPSNet) and what they are here.

Names differ, and two orders of classes: see :func:`background_last` and :func:`things_first`.
Everything else has the same order on both sides: BGR images, ``(C, 7, 7)`` flattened for the first
fully connected layer, three anchors by ratio 0.5, 1, 2, deltas ``(x, y, w, h)`` class by class,
offsets of deformable convolutions ``(y, x)`` tap by tap.

The weights were trained with other pixel means, anchors and RoIs than ours:
``configs/upsnet/*_released.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from mmext.errors import InputError
from mmext.formats.checkpoint_keys import Converted, Rename, rename_keys

_LEVELS = (2, 3, 4, 5)  # P2..P5 there are levels 0..3 here
_BRANCHES = {
    r'rpn\.conv_proposal\.0': 'rpn_head.rpn_conv',
    r'rpn\.cls_score': 'rpn_head.rpn_cls',
    r'rpn\.bbox_pred': 'rpn_head.rpn_reg',
    r'rcnn\.fc6\.0': 'roi_head.bbox_head.shared_fcs.0',
    r'rcnn\.fc7\.0': 'roi_head.bbox_head.shared_fcs.1',
    r'rcnn\.cls_score': 'roi_head.bbox_head.fc_cls',
    r'rcnn\.bbox_pred': 'roi_head.bbox_head.fc_reg',
    r'mask_branch\.mask_deconv1\.0': 'roi_head.mask_head.upsample',
    r'mask_branch\.mask_score': 'roi_head.mask_head.conv_logits',
    r'fcn_head\.score': 'semantic_head.conv_logits',
    **{
        rf'mask_branch\.mask_conv{number}\.0': f'roi_head.mask_head.convs.{number - 1}.conv'
        for number in range(1, 5)
    },
}


def convert(source: Mapping[str, Tensor]) -> Converted:
    """A released model, of COCO or Cityscapes.

    Args:
        source: its state dict.

    Returns:
        The state of :class:`~mmext.upsnet.detector.UPSNet` with the same parts.

    Raises:
        InputError: a key that no line knows, or one that every model has is missing.
    """
    has_context = any(key.endswith('fpn.fpn_gap.weight') for key in source)
    converted = rename_keys(
        source, [*_backbone(), *_pyramid(has_context), *_branches(), *_semantic_subnet()]
    )
    background_last(converted.state)
    things_first(converted.state)
    return converted


def background_last(state: dict[str, Tensor]) -> None:
    """Reorder the rows of the box and mask branch, in place.

    Background is class 0 in the released code and the last one in mmdet, which has no deltas and
    no mask for it.

    Args:
        state: our names, released order; with deltas and masks of every class and background.

    Raises:
        InputError: a row is missing.
    """
    for kind in ('weight', 'bias'):
        _replace(state, f'roi_head.bbox_head.fc_cls.{kind}', lambda rows: rows.roll(-1, 0))
        _replace(state, f'roi_head.bbox_head.fc_reg.{kind}', lambda rows: rows[4:])
        _replace(state, f'roi_head.mask_head.conv_logits.{kind}', lambda rows: rows[1:])


def things_first(state: dict[str, Tensor]) -> None:
    """Reorder the rows of the semantic classifier, in place.

    Stuff comes before things in the released code and after them in mmdet's data sets; the order
    within each is the same.

    Args:
        state: our names; after :func:`background_last`.

    Raises:
        InputError: a row is missing.
    """
    for kind in ('weight', 'bias'):
        _replace(
            state, f'semantic_head.conv_logits.{kind}', lambda rows: rows.roll(_things(state), 0)
        )


def _things(state: Mapping[str, Tensor]) -> int:
    return len(state['roi_head.bbox_head.fc_cls.bias']) - 1


def _replace(state: dict[str, Tensor], key: str, change: Callable[[Tensor], Tensor]) -> None:
    if key not in state:
        raise InputError(f'no key becomes {key}, which every model has')
    state[key] = change(state[key])


def _backbone() -> Iterator[Rename]:
    yield Rename(r'resnet_backbone\.conv1\.((?:conv|bn)1\..+)', r'backbone.\1')
    for stage in range(1, 5):
        theirs, ours = rf'resnet_backbone\.res{stage + 1}\.layers\.(\d+)', rf'layer{stage}.\1'
        yield Rename(rf'{theirs}\.((?:conv|bn)[123]\..+)', rf'backbone.{ours}.\2')
        yield Rename(rf'{theirs}\.(downsample\.[01]\..+)', rf'backbone.{ours}.\2')
        yield Rename(rf'{theirs}\.conv2_offset\.(.+)', rf'backbone.{ours}.conv2.conv_offset.\2')


def _pyramid(has_context: bool) -> Iterator[Rename]:
    """With context the topmost lateral is a part of a layer."""
    top = 'lateral_convs.3.lateral' if has_context else 'lateral_convs.3'
    yield Rename(r'fpn\.fpn_gap\.(.+)', r'neck.lateral_convs.3.context.\1')
    yield Rename(r'fpn\.fpn_p5_1x1\.(.+)', rf'neck.{top}.conv.\1')
    for level, number in enumerate(_LEVELS[:-1]):
        yield Rename(rf'fpn\.fpn_p{number}_1x1\.(.+)', rf'neck.lateral_convs.{level}.conv.\1')
    for level, number in enumerate(_LEVELS):
        yield Rename(rf'fpn\.fpn_p{number}\.(.+)', rf'neck.fpn_convs.{level}.conv.\1')


def _branches() -> Iterator[Rename]:
    for theirs, ours in _BRANCHES.items():
        yield Rename(rf'{theirs}\.(weight|bias)', rf'{ours}.\1')


def _semantic_subnet() -> Iterator[Rename]:
    layer = r'fcn_head\.fcn_subnet\.conv\.(\d)\.0'
    yield Rename(rf'{layer}\.(conv_offset\..+)', r'semantic_head.subnet.\1.conv.\2')
    yield Rename(rf'{layer}\.conv\.(weight|bias)', r'semantic_head.subnet.\1.conv.\2')
