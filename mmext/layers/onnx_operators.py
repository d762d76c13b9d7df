"""Operators of the ONNX standard for what :mod:`mmext.layers.graph_operators` names.

Opset 20: GridSample says ``linear``, DeformConv is there since 19, and onnxruntime has RoIAlign up
to 21. Imported where something is exported: onnxscript is of the extra ``export``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import onnxscript
import torch

from mmext.layers import graph_operators  # noqa: F401 - registers the operations

OPSET = 20
op: Any = onnxscript.opset20
_INT64 = 7  # of the standard's list of types


def translations() -> dict[Any, Callable[..., Any]]:
    """What the exporter calls for each operation."""
    return {
        torch.ops.mmext.deform_conv.default: _deform_conv,
        torch.ops.mmext.pool_rois.default: _pool_rois,
        torch.ops.mmext.kept_boxes.default: _kept_boxes,
        torch.ops.aten.remainder.Scalar: _remainder,
        torch.ops.aten._cdist_forward.default: _distances,
    }


def _deform_conv(
    inputs: Any,
    offsets: Any,
    weight: Any,
    bias: Any,
    mask: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Any:
    return op.DeformConv(
        inputs,
        weight,
        offsets,
        bias,
        mask,
        strides=list(stride),
        pads=[*padding, *padding],
        dilations=list(dilation),
    )


def _pool_rois(
    features: Any,
    rois: Any,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Any:
    images = op.Gather(rois, op.Constant(value_int=0), axis=1)
    return op.RoiAlign(
        features,
        op.Gather(rois, op.Constant(value_ints=[1, 2, 3, 4]), axis=1),
        op.Cast(images, to=_INT64),
        output_height=height,
        output_width=width,
        spatial_scale=spatial_scale,
        sampling_ratio=sampling_ratio,
        coordinate_transformation_mode='half_pixel' if aligned else 'output_half_pixel',
    )


def _kept_boxes(
    boxes_xyxy: Any, scores: Any, iou_threshold: float, min_score: float, max_boxes: int
) -> Any:
    chosen = op.NonMaxSuppression(
        boxes_xyxy,
        op.Unsqueeze(scores, op.Constant(value_ints=[1])),  # of one class
        op.Constant(value_ints=[max_boxes]),
        op.Constant(value_floats=[iou_threshold]),
        op.Constant(value_floats=[min_score]),
    )
    places = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)  # image, box
    ones = op.Expand(op.Constant(value_float=1.0), op.Shape(places, end=1))
    return op.ScatterND(op.Sub(scores, scores), places, ones)


def _remainder(dividends: Any, divisor: Any) -> Any:
    """Of whole numbers, also by an open side of a map, which the exporter's own does not take."""
    return op.Mod(dividends, op.CastLike(divisor, dividends))


def _distances(first: Any, second: Any, p: float, compute_mode: int | None = None) -> Any:
    """Euclidean distances ``[..., P, R]`` of points ``[..., P, M]`` and ``[..., R, M]``."""
    if p != 2:
        raise NotImplementedError(f'torch.cdist of norm {p}')
    rows, columns = (op.Constant(value_ints=[axis]) for axis in (-2, -3))
    steps = op.Sub(op.Unsqueeze(first, rows), op.Unsqueeze(second, columns))
    return op.ReduceL2(steps, op.Constant(value_ints=[-1]), keepdims=0)
