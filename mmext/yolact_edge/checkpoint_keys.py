r"""Keys of the released YOLACT and YolactEdge checkpoints and what they are here.

Image and video models of haotian-liu/yolact_edge, and image models of dbolya/yolact, whose pyramid
has other names. Apart from names one order differs: background is class 0 there and the last one
here. Anchors, box deltas and coefficients have the same order and scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from mmext.errors import InputError
from mmext.formats.checkpoint_keys import Converted, Drop, Rename, rename_keys

ANCHORS_PER_CELL = 3
_LEVELS = 3  # C3 to C5; the lists of the released pyramid begin with C5
_HEAD = {
    r'upfeature\.0': 'head_convs.0.conv',
    'bbox_layer': 'conv_reg',
    'conf_layer': 'conv_cls',
    'mask_layer': 'conv_coeff',
}
_MOBILENET_STAGES = 6  # stages 1 to 6 lead to the last map of the pyramid


def convert(source: Mapping[str, Tensor]) -> Converted:
    """A released image model with ResNet-50, ResNet-101 or MobileNetV2.

    Args:
        source: its state dict.

    Returns:
        The state of :class:`~mmext.yolact_edge.detector.YolactEdge` with the same parts.

    Raises:
        InputError: a key that no line knows (as those of the flow network of a video model), or
            the classifier is missing or not of three anchors.
    """
    return _converted(source, [*_resnet(), *_mobilenet(), *_pyramid(), *_heads()])


def convert_video(source: Mapping[str, Tensor]) -> Converted:
    """A released video model with ResNet-50 or ResNet-101.

    Args:
        source: its state dict.

    Returns:
        The state of :class:`~mmext.yolact_edge.video_detector.VideoYolactEdge` with the same parts.

    Raises:
        InputError: as :func:`convert`, or there is no flow network: it is an image model.
    """
    converted = _converted(source, [*_resnet(), *_pyramid(), *_heads(), *_propagation()])
    if not any(key.startswith('propagation.') for key in converted.state):
        raise InputError('no key is of a flow network: the weights are those of an image model')
    return converted


def _converted(source: Mapping[str, Tensor], table: list[Rename | Drop]) -> Converted:
    converted = rename_keys(source, table)
    for kind in ('weight', 'bias'):
        key = f'bbox_head.conv_cls.{kind}'
        if key not in converted.state:
            raise InputError(f'no key becomes {key}, which every model has')
        converted.state[key] = background_last(converted.state[key])
    return converted


def background_last(rows: Tensor) -> Tensor:
    """Reorder the rows of the classifier.

    Args:
        rows: ``[3 * (C + 1), ...]``, of each anchor background and then the classes.

    Returns:
        ``[3 * (C + 1), ...]``, of each anchor the classes and then background.

    Raises:
        InputError: the rows are not those of three anchors.
    """
    if len(rows) % ANCHORS_PER_CELL:
        raise InputError(
            f'prediction_layers.0.conf_layer: expected rows of {ANCHORS_PER_CELL} anchors, got '
            f'{len(rows)} rows'
        )
    return rows.unflatten(0, (ANCHORS_PER_CELL, -1)).roll(-1, 1).flatten(0, 1)


def _resnet() -> Iterator[Rename | Drop]:
    yield Rename(r'backbone\.((?:conv|bn)1\..+)', r'backbone.\1')
    for stage in range(4):
        yield Rename(
            rf'backbone\.layers\.{stage}\.(\d+\.(?:(?:conv|bn)[123]|downsample\.[01])\..+)',
            rf'backbone.layer{stage + 1}.\1',
        )
    yield Drop(r'backbone\.layer\d+\..+', 'a second name of the stages that old files have')


def _mobilenet() -> Iterator[Rename | Drop]:
    """Stage 0 is the stem, the first block of stage 1 does not expand."""
    yield Rename(r'backbone\.layers\.0\.0\.(weight)', r'backbone.conv1.conv.\1')
    yield Rename(r'backbone\.layers\.0\.1\.(\w+)', r'backbone.conv1.bn.\1')
    plain = {
        r'0\.0': 'depthwise_conv.conv',
        r'0\.1': 'depthwise_conv.bn',
        '1': 'linear_conv.conv',
        '2': 'linear_conv.bn',
    }
    expanding = {
        r'0\.0': 'expand_conv.conv',
        r'0\.1': 'expand_conv.bn',
        r'1\.0': 'depthwise_conv.conv',
        r'1\.1': 'depthwise_conv.bn',
        '2': 'linear_conv.conv',
        '3': 'linear_conv.bn',
    }
    for stage in range(1, _MOBILENET_STAGES + 1):
        for theirs, ours in (plain if stage == 1 else expanding).items():
            yield Rename(
                rf'backbone\.layers\.{stage}\.(\d+)\.conv\.{theirs}\.(\w+)',
                rf'backbone.layer{stage}.\1.{ours}.\2',
            )
    yield Drop(
        r'backbone\.layers\.(?:7\.0\.conv|8)\..+',
        'behind the last map that the pyramid takes: without effect',
    )


def _pyramid() -> Iterator[Rename]:
    for place in range(_LEVELS):
        level = _LEVELS - 1 - place
        for theirs, ours in (
            (r'fpn(?:_phase_1)?\.lat_layers', 'phase_1.lateral_convs'),
            (r'fpn(?:_phase_2)?\.pred_layers', 'phase_2.output_convs'),
        ):
            yield Rename(rf'{theirs}\.{place}\.(weight|bias)', rf'neck.{ours}.{level}.\1')
    yield Rename(
        r'fpn(?:_phase_2)?\.downsample_layers\.(\d)\.(weight|bias)',
        r'neck.phase_2.downsample_convs.\1.\2',
    )


def _heads() -> Iterator[Rename]:
    for theirs, ours in _HEAD.items():
        yield Rename(rf'prediction_layers\.0\.{theirs}\.(weight|bias)', rf'bbox_head.{ours}.\1')
    yield Rename(r'proto_net\.(\d+)\.(weight|bias)', r'mask_head.protonet.\1.\2')
    yield Rename(r'semantic_seg_conv\.(weight|bias)', r'mask_head.segm_branch.segm_conv.\1')


def _propagation() -> Iterator[Rename]:
    """Levels of the flow network count from 1, the finest; what is raised comes from 2 and 3."""
    yield Rename(r'flow_net_pre_convs\.convs\.0\.0\.(weight|bias)', r'propagation.encoder.0.\1')
    yield Rename(r'spa\.refine_convs\.(\d)\.0\.(weight|bias)', r'propagation.corrections.\1.0.\2')
    yield Rename(r'flow_net\.(conv\d\.\d\.0)\.(weight|bias)', r'propagation.flow_net.\1.\2')
    for level in range(1, _LEVELS + 1):
        for theirs, ours in (('conv', 'flow'), ('scale', 'scale'), ('bias', 'bias')):
            yield Rename(
                rf'flow_net\.pred{level}\.{theirs}\.(weight|bias)',
                rf'propagation.flow_net.predictions.{level - 1}.{ours}.\1',
            )
    for level in range(2, _LEVELS + 1):
        for theirs, ours in (('upfeat', 'raise_features'), ('upflow', 'raise_flows')):
            yield Rename(
                rf'flow_net\.{theirs}{level}\.(weight)',
                rf'propagation.flow_net.{ours}.{level - 2}.\1',
            )
