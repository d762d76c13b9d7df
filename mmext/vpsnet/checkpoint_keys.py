r"""Keys of the released VPSNet checkpoints (mcahny/vps) and what they are here.

The names are those of mmdetection 1.x and of EDVR's attention, put down from memory and not
checked against a released file: a key that no line knows is an error that names it. What is
certain, because numbers depend on it, are the orders: background is the first class there and the
last here, stuff comes before things there and after them here.

The weights were trained with ``align_corners=False`` in the fuse neck; set it in the config.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys

_FUSE = 'fuse_neck.'
_ATTENTION = {
    # the first embeds every frame, the second the centre one
    'tAtt_1': 'embed_frame',
    'tAtt_2': 'embed_target',
    'fea_fusion': 'fuse.conv',
    'sAtt_1': 'attend.conv',
    'sAtt_2': 'attend_pooled.conv',
    'sAtt_3': 'attend_coarse.conv',
    'sAtt_[45]': 'attend_fine',
    'sAtt_add_1': 'shift.0.conv',
    'sAtt_add_2': 'shift.1',
}
_FLOW = 'FlowNet2: the flow is a module of its own here, see mmext/layers/optical_flow.py'


def convert(source: Mapping[str, Tensor]) -> Converted:
    """A released model, with fuse module, track head, both or neither.

    Args:
        source: its state dict.

    Returns:
        The state of :class:`~mmext.vpsnet.detector.VPSNet` with the same parts.

    Raises:
        ValueError: a key that no line knows, or one that every model has is missing.
    """
    converted = rename_keys(source, _table())
    state = converted.state
    _background_last(state)
    _things_first(state)
    return converted


def _table() -> list[Rename | Drop]:
    return [
        Drop(r'(.*\.)?flownet2\..+', _FLOW),
        Drop(r'backbone\.fc\..+', 'the ImageNet classifier'),
        Rename(r'((backbone|neck|rpn_head)\..+)', r'\1'),
        Rename(r'((bbox|mask)_head\..+)', r'roi_head.\1'),
        Rename(r'(track_head\.fcs\.\d+\.(weight|bias))', r'\1'),
        *_semantic(),
        *_fuse(),
    ]


def _semantic() -> list[Rename]:
    """Layers of three: deformable convolution with its offsets, GroupNorm, ReLU."""
    lines = [Rename(r'panopticFPN\.conv_pred\.conv\.(.+)', r'semantic_head.conv_logits.\1')]
    for layer in range(3):
        theirs = rf'panopticFPN\.deform_convs\.0\.{3 * layer}'
        ours = f'semantic_head.subnet.{layer}'
        lines += [
            Rename(rf'{theirs}\.conv_offset\.(.+)', rf'{ours}.conv.conv_offset.\1'),
            Rename(rf'{theirs}\.conv\.weight', f'{ours}.conv.weight'),
            Rename(
                rf'panopticFPN\.deform_convs\.0\.{3 * layer + 1}\.(weight|bias)', rf'{ours}.gn.\1'
            ),
        ]
    return lines


def _fuse() -> list[Rename]:
    lines = [
        Rename(rf'extra_neck\.tcea_fusion\.{theirs}\.(weight|bias)', rf'{_FUSE}attention.{ours}.\1')
        for theirs, ours in _ATTENTION.items()
    ]
    lines += [
        Rename(
            rf'extra_neck\.liteflownet\.conv{layer + 1}(\.0)?\.(weight|bias)',
            rf'{_FUSE}residual_flow.hidden.{layer}.conv.\2',
        )
        for layer in range(3)
    ]
    return [
        *lines,
        Rename(
            r'extra_neck\.liteflownet\.predict_flow\.(weight|bias)',
            rf'{_FUSE}residual_flow.conv_flow.\1',
        ),
        Rename(r'extra_neck\.refine\.conv\.(weight|bias)', rf'{_FUSE}refine.conv.\1'),
    ]


def _background_last(state: dict[str, Tensor]) -> None:
    """Class scores with background last; boxes and masks of things alone."""
    for kind in ('weight', 'bias'):
        scores = _take(state, f'roi_head.bbox_head.fc_cls.{kind}')
        state[f'roi_head.bbox_head.fc_cls.{kind}'] = torch.cat((scores[1:], scores[:1]))
        deltas = _take(state, f'roi_head.bbox_head.fc_reg.{kind}')
        state[f'roi_head.bbox_head.fc_reg.{kind}'] = deltas[4:]
        masks = _take(state, f'roi_head.mask_head.conv_logits.{kind}')
        state[f'roi_head.mask_head.conv_logits.{kind}'] = masks[1:]


def _things_first(state: dict[str, Tensor]) -> None:
    num_things = len(state['roi_head.bbox_head.fc_cls.bias']) - 1
    for kind in ('weight', 'bias'):
        logits = _take(state, f'semantic_head.conv_logits.{kind}')
        state[f'semantic_head.conv_logits.{kind}'] = logits.roll(num_things, dims=0)


def _take(state: dict[str, Tensor], key: str) -> Tensor:
    if key not in state:
        raise ValueError(f'no key becomes {key}, which every VPSNet has')
    return state.pop(key)
