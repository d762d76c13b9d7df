"""A clip in one picture: frames side by side, truth above prediction, a colour for each object.

For detectors of videos: data samples whose meta has ``video_id``, and panoptic maps whose instance
numbers are the ids of objects (mmdet's encoding, label + number * 1000), or instances with
``instances_ids``.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mmext.drawing.panels import Classes, Frame, Scene, draw_clip
from mmext.hooks.mlflow_logging.content.images import image_records
from mmext.hooks.mlflow_logging.delivery.records import Record

_FRAMES = 6


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
        if video_id is None or not ('pred_panoptic_seg' in sample or has_ids(sample)):
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
            bare = [f._replace(ids=_nothing(f.ids, len(classes.names))) for f in self.frames]
            yield from image_records(f'{mode}/{self.name}', draw_clip(bare, classes), 0)
        self.drawn = draw_clip(self.frames, classes)
        yield from image_records(f'{mode}/{self.name}', self.drawn, step)


def has_ids(sample: Any) -> bool:
    """Whether the predicted instances of a data sample have numbers that they keep."""
    return 'instances_ids' in getattr(sample, 'pred_instances', {})


def _nothing(shown: Any, void: int) -> Any:
    """A map or scene of the same form without anything in it."""
    return Scene(shown.frame_hw) if isinstance(shown, Scene) else np.full_like(shown, void)
