"""Checkpoints of detectron2's DensePose under our names, every key accounted for.

Names and shapes are those of its modules; no released file was at hand.
"""

from collections.abc import Mapping

from torch import Tensor

from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys
from mmext.formats.detectron2_keys import detector_keys

_TASK = 'roi_head.tasks.densepose'
_MAPS = {
    'ann_index_lowres': 'coarse',
    'index_uv_lowres': 'parts',
    'u_lowres': 'u',
    'v_lowres': 'v',
    'sigma_2_lowres': 'sigma',
    'kappa_u_lowres': 'kappa_u',
    'kappa_v_lowres': 'kappa_v',
    'fine_segm_confidence_lowres': 'part_confidence',
    'coarse_segm_confidence_lowres': 'coarse_confidence',
}


def convert(source: Mapping[str, Tensor]) -> Converted:
    """``densepose_rcnn_*_FPN_s1x`` of detectron2, with V1ConvX or DeepLab heads, WC1, WC2, M.

    Args:
        source: the ``model`` of the released file.

    Raises:
        ValueError: a key that the released network does not have.
    """
    head, maps = r'roi_heads\.densepose_head\.', r'roi_heads\.densepose_predictor\.'
    has_norm = any('body_conv_fcn1.norm.' in key for key in source)
    table: list[Rename | Drop] = [
        *detector_keys(),
        *_decoder(),
        *(
            line
            for number in range(1, 9)
            for line in _trunk_conv(rf'{head}body_conv_fcn{number}', number - 1, has_norm)
        ),
        Rename(rf'{head}ASPP\.convs\.([0-3])\.(.+)', rf'{_TASK}.trunk.aspp.views.\1.\2'),
        Rename(rf'{head}ASPP\.convs\.4\.1\.weight', rf'{_TASK}.trunk.aspp.mean.0.weight'),
        Rename(rf'{head}ASPP\.convs\.4\.2\.(.+)', rf'{_TASK}.trunk.aspp.mean.1.\1'),
        Rename(rf'{head}ASPP\.project\.0\.weight', rf'{_TASK}.trunk.aspp.project.weight'),
        Rename(rf'{head}NLBlock\.(g|phi)\.0\.(.+)', rf'{_TASK}.trunk.non_local.\1.\2'),
        Rename(rf'{head}NLBlock\.theta\.(.+)', rf'{_TASK}.trunk.non_local.theta.\1'),
        Rename(rf'{head}NLBlock\.W\.0\.(.+)', rf'{_TASK}.trunk.non_local.out.\1'),
        Rename(rf'{head}NLBlock\.W\.1\.(.+)', rf'{_TASK}.trunk.non_local.norm.\1'),
        *(
            Rename(rf'{maps}{old}\.(.+)', rf'{_TASK}.predictor.layers.{new}.\1')
            for old, new in _MAPS.items()
        ),
    ]
    return rename_keys(source, table)


def _decoder() -> list[Rename]:
    """Its convolutions and enlargements count through: every second one is a convolution."""
    source, target = r'roi_heads\.decoder\.', f'{_TASK}.decoder.'
    lines = [
        Rename(rf'{source}p{level + 2}\.{2 * number}\.(.+)', rf'{target}levels.{level}.{number}.\1')
        for level in range(4)
        for number in range(max(1, level))
    ]
    return [*lines, Rename(rf'{source}predictor\.(.+)', rf'{target}predictor.\1')]


def _trunk_conv(source: str, number: int, has_norm: bool) -> list[Rename]:
    target = f'{_TASK}.trunk.convs.{number}'
    if not has_norm:
        return [Rename(rf'{source}\.(.+)', rf'{target}.\1')]
    return [
        Rename(rf'{source}\.norm\.(.+)', rf'{target}.1.\1'),
        Rename(rf'{source}\.weight', rf'{target}.0.weight'),
    ]
