r"""Keys of the released VPSNet checkpoints (mcahny/vps) and what they are here.

The names are those of the released model with fuse module and track head ("FuseTrack"). Models
without one of the two lack its keys.

Classes are in UPSNet's order, which is put right as there.

The weights were trained with ``align_corners=False`` in the fuse neck and with the box frame of
mmdetection 1.x: ``configs/vpsnet/*_released.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys
from mmext.upsnet.checkpoint_keys import background_last, things_first

_FUSE = 'fuse_neck.'
_ATTENTION = {
    # the first embeds every frame, the second the center one
    'tAtt_1': 'embed_frame',
    'tAtt_2': 'embed_target',
    'fea_fusion': 'fuse.conv',
    'sAtt_1': 'attend.conv',
    'sAtt_2': 'attend_pooled.conv',
    'sAtt_3': 'attend_coarse.conv',
    'sAtt_4': 'attend_fine',
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
    background_last(converted.state)
    things_first(converted.state)
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
    flow = r'extra_neck\.liteflownet\.flow_estimator\.convs'
    return [
        *lines,
        Rename(rf'{flow}\.([012])\.0\.(weight|bias)', rf'{_FUSE}residual_flow.hidden.\1.conv.\2'),
        Rename(rf'{flow}\.3\.(weight|bias)', rf'{_FUSE}residual_flow.conv_flow.\1'),
        Rename(r'extra_neck\.refine\.conv\.(weight|bias)', rf'{_FUSE}refine.conv.\1'),
    ]
