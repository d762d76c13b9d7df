"""Operations that an exported graph names as one node instead of spelling them out.

``torch.export`` keeps them as ``mmext::...``, which torch runs by the functions below; the ONNX
export writes the standard's operator for each.

Shape legend: N images, C input and O output channels, R RoIs, P boxes.
"""

from collections.abc import Sequence

import torch
from mmcv.ops import nms
from torch import Tensor

from mmext.functional.deformable_conv import deformable_conv2d
from mmext.functional.roi_align import roi_align


@torch.library.custom_op('mmext::deform_conv', mutates_args=())
def deform_conv(
    inputs: Tensor,
    offsets: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """Deformable convolution ``[N, O, h, w]``.

    Arguments are those of :func:`mmext.functional.deformable_conv.deformable_conv2d`.
    """
    pairs = ((values[0], values[1]) for values in (stride, padding, dilation))
    return deformable_conv2d(inputs, offsets, weight, bias, mask, *pairs)


@deform_conv.register_fake
def _(
    inputs: Tensor,
    offsets: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    return inputs.new_empty(inputs.shape[0], weight.shape[0], offsets.shape[2], offsets.shape[3])


@torch.library.custom_op('mmext::pool_rois', mutates_args=())
def pool_rois(
    features: Tensor,
    rois: Tensor,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """RoIAlign ``[R, C, height, width]``.

    Arguments are those of :func:`mmext.functional.roi_align.roi_align`. A RoI without area, which
    runtimes divide by, and one outside of the map are 0.
    """
    size = (height, width)
    return roi_align(features, rois, size, spatial_scale, sampling_ratio, aligned).contiguous()


@pool_rois.register_fake
def _(
    features: Tensor,
    rois: Tensor,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    return features.new_empty(rois.shape[0], features.shape[1], height, width)


@torch.library.custom_op('mmext::kept_boxes', mutates_args=())
def kept_boxes(
    boxes_xyxy: Tensor,
    scores: Tensor,
    iou_threshold: float,
    min_score: float,
    max_boxes: int,
) -> Tensor:
    """Which boxes of each image stay after non-maximum suppression.

    Args:
        boxes_xyxy: ``[N, P, 4]``.
        scores: ``[N, P]``.
        iou_threshold: a box goes that overlaps a better one by more.
        min_score: boxes at or below it do not count.
        max_boxes: of an image.

    Returns:
        ``[N, P]``, 1 for those that stay, else 0.
    """
    kept = torch.zeros_like(scores)
    for image, (boxes, image_scores) in enumerate(zip(boxes_xyxy, scores, strict=True)):
        (candidate_index,) = (image_scores > min_score).nonzero(as_tuple=True)
        _, chosen = nms(boxes[candidate_index], image_scores[candidate_index], iou_threshold)
        kept[image, candidate_index[chosen[:max_boxes]]] = 1
    return kept


@kept_boxes.register_fake
def _(
    boxes_xyxy: Tensor, scores: Tensor, iou_threshold: float, min_score: float, max_boxes: int
) -> Tensor:
    return torch.empty_like(scores)
