"""A clip in one picture: frames side by side, truth above prediction, a colour for each object.

For detectors of videos: data samples whose meta has ``video_id``, and panoptic maps whose instance
numbers are the ids of objects (mmdet's encoding, label + number * 1000).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from mmext.drawing.panels import Classes, Color, from_hsv
from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.hooks.mlflow_logging.content.images import image_records
from mmext.hooks.mlflow_logging.delivery.records import Record

_FRAMES = 6
_FRAME_WIDTH_PX = 240
_GAP_PX = 4
_OPACITY = 0.6
_GOLDEN_RATIO = 0.618034


class Frame(NamedTuple):
    """A frame of the clip; maps are (H, W), picture (H', W', 3) RGB uint8."""

    picture: np.ndarray
    truth_ids: np.ndarray | None
    ids: np.ndarray


class ClipCollector:
    """Takes frames of the first video that it sees, spread evenly over its length."""

    def __init__(self) -> None:
        self._video_id: Any = None
        self._seen = 0
        self._wanted: list[int] = []
        self._frames: list[Frame] = []

    def wants(self, sample: Any) -> bool:
        """Whether the next frame is one of the clip; to be asked once for every frame."""
        meta = getattr(sample, 'metainfo', {})
        video_id = meta.get('video_id')
        if video_id is None or 'pred_panoptic_seg' not in sample:
            return False
        if self._video_id is None:
            length = int(meta.get('video_length', _FRAMES))
            self._video_id = video_id
            self._wanted = (
                np.linspace(0, length - 1, min(_FRAMES, length)).round().astype(int).tolist()
            )
        if video_id != self._video_id:
            return False
        self._seen += 1
        return self._seen - 1 in self._wanted

    def add(self, frame: Frame) -> 'ClipPanel | None':
        """Add a wanted frame; the clip once it is complete."""
        self._frames.append(frame)
        if len(self._frames) < len(self._wanted):
            return None
        return ClipPanel(f'clip_{self._video_id}', self._frames)


class ClipPanel:
    """Frames ready to be drawn."""

    def __init__(self, name: str, frames: Sequence[Frame]) -> None:
        self.name = name
        self.frames = list(frames)
        self.image = self.frames[0].picture
        self.drawn: np.ndarray | None = None

    def records(
        self, mode: str, step: int, classes: Classes, first: bool = False
    ) -> Iterator[Record]:
        """Draw it; see :meth:`.panel_collector.Panel.records`."""
        if first and step > 0:
            bare = [frame._replace(ids=np.full_like(frame.ids, -1)) for frame in self.frames]
            yield from image_records(f'{mode}/{self.name}', draw_clip(bare, classes), 0)
        self.drawn = draw_clip(self.frames, classes)
        yield from image_records(f'{mode}/{self.name}', self.drawn, step)


def object_ids(segment_labels: np.ndarray, instances: Any) -> np.ndarray:
    """The truth in the encoding of a prediction.

    Args:
        segment_labels: (H, W) class of each pixel.
        instances: with ``labels``, ``masks`` and ``instances_ids``, (N,) or (N, H, W).

    Returns:
        (H, W) int64.
    """
    ids = segment_labels.astype(np.int64)
    if 'instances_ids' not in instances or 'masks' not in instances:
        return ids
    masks = instances.masks
    masks = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else np.asarray(masks)
    if masks.shape[1:] != ids.shape:
        return ids
    rows = zip(instances.labels.tolist(), instances.instances_ids.tolist(), masks, strict=True)
    for label, number, mask in rows:
        ids[mask.astype(bool)] = label + number * INSTANCE_OFFSET
    return ids


def draw_clip(frames: Sequence[Frame], classes: Classes) -> np.ndarray:
    """One picture (RGB): a column per frame, a row for the truth, if any, and the prediction.

    Args:
        frames: of one video.
        classes: labels beyond them are void and stay uncoloured.
    """
    height, width = frames[0].picture.shape[:2]
    size = (_FRAME_WIDTH_PX, max(1, round(height * _FRAME_WIDTH_PX / width)))
    columns = []
    for frame in frames:
        picture = cv2.resize(frame.picture, size, interpolation=cv2.INTER_AREA)
        maps = [frame.ids] if frame.truth_ids is None else [frame.truth_ids, frame.ids]
        cells = [_colour(picture, ids, classes) for ids in maps]
        columns.append(_joined(cells, axis=0))
    return _joined(columns, axis=1)


def colour_of_id(panoptic_id: int, palette: Sequence[Color] = ()) -> Color:
    """Depends on the id alone: bright and its own for an object, that of the class for stuff."""
    number, label = divmod(panoptic_id, INSTANCE_OFFSET)
    if not number and 0 <= label < len(palette):
        return palette[label]
    hue = int(179 * (((number * 7 + label) if number else label) * _GOLDEN_RATIO % 1.0))
    return from_hsv(hue, 230, 255) if number else from_hsv(hue, 60, 170)


def _colour(picture: np.ndarray, ids: np.ndarray, classes: Classes) -> np.ndarray:
    height, width = picture.shape[:2]
    rows = np.arange(height) * ids.shape[0] // height
    columns = np.arange(width) * ids.shape[1] // width
    unique, inverse = np.unique(ids[rows[:, None], columns], return_inverse=True)
    fill = np.array([colour_of_id(int(i), classes.palette) for i in unique], np.float32)
    known = (unique % INSTANCE_OFFSET < len(classes.names)) & (unique >= 0)
    opacity = np.where(known, _OPACITY, 0.0)[inverse.reshape(height, width)][..., None]
    blended = picture * (1 - opacity) + fill[inverse.reshape(height, width)] * opacity
    return blended.astype(np.uint8)


def _joined(pictures: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Pictures in a row or column, with a white gap between them."""
    shape = list(pictures[0].shape)
    shape[axis] = _GAP_PX
    gap = np.full(shape, 255, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=axis)
