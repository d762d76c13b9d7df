"""Weights of the released keypoint triplets (CenterNet-52 and -104) under our names."""

from collections.abc import Mapping

from torch import Tensor

from mmext.centernet.checkpoint_keys_hourglass import HOURGLASS_KEYS
from mmext.formats.checkpoint_keys import Converted, Rename, rename_keys

_KINDS = {'tl': 'top_left', 'br': 'bottom_right', 'ct': 'center'}

# inside a pooling module; center pooling has no looks and nothing between
_POOL_KEYS = (
    (r'p(\d)_conv1\.(.+)', r'branch\g<2>.\3'),
    (r'look_conv(\d)\.(.+)', r'look\g<2>.\3'),
    (r'P(\d)_look_conv\.(.+)', r'between\g<2>.\3'),
    (r'p_conv1\.(.+)', r'merge.conv.\2'),
    (r'p_bn1\.(.+)', r'merge.bn.\2'),
    (r'conv1\.(.+)', r'skip.conv.\2'),
    (r'bn1\.(.+)', r'skip.bn.\2'),
    (r'conv2\.(.+)', r'out.\2'),
)
_BRANCHES = {'heats': 'heat', 'tags': 'tag', 'regrs': 'offset'}

TRIPLET_KEYS = (
    *HOURGLASS_KEYS,
    *(
        Rename(rf'{short}_cnvs\.(\d+)\.{source}', rf'bbox_head.stacks.\1.{kind}_pool.{target}')
        for short, kind in _KINDS.items()
        for source, target in _POOL_KEYS
    ),
    *(
        Rename(rf'{short}_{source}\.(\d+)\.(.+)', rf'bbox_head.stacks.\1.{kind}_{target}.\2')
        for short, kind in _KINDS.items()
        for source, target in _BRANCHES.items()
    ),
)


def convert(source: Mapping[str, Tensor]) -> Converted:
    """The state dict of a :class:`~mmext.centernet.triplet_detector.CenterNetTripletDetector`.

    Args:
        source: the released ``.pkl``, a state dict, with or without the prefix ``module.``.

    Raises:
        ValueError: for a key that no released model has.
    """
    return rename_keys(source, TRIPLET_KEYS)
