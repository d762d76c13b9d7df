"""Results as records of labeling and viewing tools: FiftyOne, Label Studio."""

import importlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.errors import MissingPackageError

if TYPE_CHECKING:
    import fiftyone

    from mmext.inference.result import Result

_POINT_WIDTH_PERCENT = 0.5
_TOLERANCE_PX = 1.0  # of a polygon's corners from the border of the mask


def fiftyone_detections(result: 'Result') -> 'fiftyone.Detections':
    """The objects as ``fiftyone.Detections``: boxes relative to the picture, masks inside them."""
    fiftyone = optional_import('fiftyone', 'to_fiftyone')
    width, height = result.size_wh
    detections = []
    for index, (left, top, right, bottom) in enumerate(result.boxes_xyxy.tolist()):
        fields: dict[str, Any] = {}
        if result.masks is not None:
            rows, columns = _span(top, bottom, height), _span(left, right, width)
            fields['mask'] = result.masks[index][rows, columns]
        if result.track_ids is not None:
            fields['index'] = int(result.track_ids[index])
        box = [left / width, top / height, (right - left) / width, (bottom - top) / height]
        detections.append(
            fiftyone.Detection(
                label=result.names[index],
                bounding_box=box,
                confidence=float(result.scores[index]),
                **fields,
            )
        )
    return fiftyone.Detections(detections=detections)


def label_studio_prediction(
    result: 'Result', from_name: str = 'label', to_name: str = 'image', model_version: str = 'mmext'
) -> dict[str, Any]:
    """The objects as one prediction of a Label Studio task, to be corrected there.

    Objects with masks become ``polygonlabels``, others ``rectanglelabels``; key points become
    ``keypointlabels``. All places are in percent of the picture.

    Args:
        result: of one picture.
        from_name: of the control tag in the labeling interface.
        to_name: of its image tag.
        model_version: shown with the prediction.

    Returns:
        What belongs into ``predictions`` of the task.
    """
    width, height = result.size_wh
    frame = dict(
        from_name=from_name,
        to_name=to_name,
        original_width=width,
        original_height=height,
        image_rotation=0,
    )
    regions: list[dict[str, Any]] = []
    for index, name in enumerate(result.names):
        for kind, value in _shapes(result, index):
            value[kind] = [name]
            score = float(result.scores[index])
            regions.append(
                dict(frame, id=f'{index}-{len(regions)}', type=kind, value=value, score=score)
            )
    mean = float(result.scores.mean()) if len(result) else 0.0
    return dict(model_version=model_version, score=mean, result=regions)


def optional_import(package: str, user: str) -> Any:
    """A package that only ``user`` needs.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingPackageError(f'{user} needs {package}: pip install {package}') from error


def _shapes(result: 'Result', index: int) -> list[tuple[str, dict[str, Any]]]:
    """The regions of one object: their kind and their places in percent."""
    per_px = 100 / np.array(result.size_wh, float)
    shapes: list[tuple[str, dict[str, Any]]] = []
    polygons = _polygons(result.masks[index]) if result.masks is not None else []
    shapes += [('polygonlabels', dict(points=(p * per_px).tolist())) for p in polygons]
    if not polygons:
        low, high = result.boxes_xyxy[index].astype(float).reshape(2, 2)
        (x, y), (w, h) = (low * per_px).tolist(), ((high - low) * per_px).tolist()
        shapes.append(('rectanglelabels', dict(x=x, y=y, width=w, height=h, rotation=0)))
    if result.keypoints is not None:
        for x, y in (result.keypoints[index].astype(float) * per_px).tolist():
            shapes.append(('keypointlabels', dict(x=x, y=y, width=_POINT_WIDTH_PERCENT)))
    return shapes


def _polygons(mask: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """The outlines of a mask's parts, ``[corners, 2]`` x, y in px; holes are left out."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corners = [cv2.approxPolyDP(contour, _TOLERANCE_PX, closed=True) for contour in contours]
    return [each[:, 0].astype(float) + 0.5 for each in corners if len(each) > 2]


def _span(low: float, high: float, end: int) -> slice:
    """The pixels that a box covers along one side; at least one."""
    first = min(max(round(low), 0), end - 1)
    return slice(first, max(first + 1, min(round(high), end)))
