r"""Keys of the PyTorch port's checkpoints (biubug6/Pytorch_Retinaface) and what they are here.

The port's block ``body.stageS.B``: in the stem ``.0`` convolution, ``.1`` norm; else ``.0``, ``.1``
of the depthwise part and ``.3``, ``.4`` of the pointwise part. Its last context convolution is
called ``conv7x7_3`` and not, like the others, ``conv7X7_3``.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys

_LEVELS = 3
_CONTEXT = {
    'conv3X3': 'conv3x3',
    'conv5X5_1': 'conv5x5_1',
    'conv5X5_2': 'conv5x5_2',
    'conv7X7_2': 'conv7x7_2',
    'conv7x7_3': 'conv7x7_3',
}
_HEADS = {'ClassHead': 'face_convs', 'BboxHead': 'box_convs', 'LandmarkHead': 'landmark_convs'}


def convert(source: Mapping[str, Tensor]) -> Converted:
    """A whole network of the port, with either of its backbones.

    Args:
        source: the port's state dict.

    Returns:
        The state of :class:`~mmext.retinaface.detector.RetinaFace`.

    Raises:
        ValueError: keys that the port does not have.
    """
    return rename_keys(source, [*_mobilenet('body.', 'backbone.'), *_resnet(), *_neck(), *_heads()])


def convert_backbone(source: Mapping[str, Tensor]) -> Converted:
    """The ImageNet classifier that the port's MobileNetV1 x0.25 starts from.

    Returns:
        The state of a :class:`~mmext.retinaface.mobilenet_v1.MobileNetV1` alone, without prefix.
    """
    classifier = Drop(r'fc\.(weight|bias)', 'the ImageNet classifier')
    return rename_keys(source, [*_mobilenet('', ''), classifier])


def _mobilenet(prefix: str, target: str) -> Iterator[Rename]:
    for index, kind in ((0, 'conv'), (1, 'bn')):
        yield Rename(rf'{prefix}stage1\.0\.{index}\.(.+)', rf'{target}stem.{kind}.\1')
    for stage in range(1, 4):
        for block in range(6):
            # the port's first block of stage 1 is the stem
            ours = f'{target}stages.{stage - 1}.{block - (stage == 1)}'
            theirs = rf'{prefix}stage{stage}\.{block}'
            for index, part in (
                (0, 'depthwise_conv.conv'),
                (1, 'depthwise_conv.bn'),
                (3, 'pointwise_conv.conv'),
                (4, 'pointwise_conv.bn'),
            ):
                yield Rename(rf'{theirs}\.{index}\.(.+)', rf'{ours}.{part}.\1')


def _resnet() -> Iterator[Rename]:
    yield Rename(r'body\.((?:conv1|bn1|layer[1-4]\.\d+)\..+)', r'backbone.\1')


def _neck() -> Iterator[Rename]:
    for index, kind in ((0, 'conv'), (1, 'bn')):
        for level in range(_LEVELS):
            ours, theirs = level, level + 1
            yield Rename(rf'fpn\.output{theirs}\.{index}\.(.+)', rf'neck.laterals.{ours}.{kind}.\1')
            yield Rename(rf'fpn\.merge{theirs}\.{index}\.(.+)', rf'neck.merges.{ours}.{kind}.\1')
            for their_part, part in _CONTEXT.items():
                yield Rename(
                    rf'ssh{theirs}\.{their_part}\.{index}\.(.+)',
                    rf'neck.contexts.{ours}.{part}.{kind}.\1',
                )


def _heads() -> Iterator[Rename]:
    for theirs, ours in _HEADS.items():
        yield Rename(rf'{theirs}\.(\d)\.conv1x1\.(.+)', rf'bbox_head.{ours}.\1.\2')
