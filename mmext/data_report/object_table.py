"""All objects of a data set in columns, so that counting them takes no loop.

N objects, I images, S segments of stuff.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class ObjectTable:
    """Objects, and the images they are in.

    Attributes:
        image_index: ``[N]``, place of the image in the data set.
        labels: ``[N]``.
        boxes_xyxy: ``[N, 4]``, px of the photo.
        ignored: ``[N]`` bool, crowds and the like.
        image_wh: ``[I, 2]`` px; NaN where the annotations do not state it.
        stuff_image_index: ``[S]``; without panoptic annotations S is 0.
        stuff_labels: ``[S]``.
    """

    image_index: Ints
    labels: Ints
    boxes_xyxy: Floats
    ignored: npt.NDArray[np.bool_]
    image_wh: Floats
    stuff_image_index: Ints
    stuff_labels: Ints

    @property
    def num_images(self) -> int:
        """I."""
        return len(self.image_wh)

    @property
    def sides_px(self) -> Floats:
        """Width and height of every box, ``[N, 2]``."""
        return (self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]).clip(min=0)

    @property
    def sizes_px(self) -> Floats:
        """Root of the area of every box, ``[N]``."""
        return np.sqrt(self.sides_px.prod(axis=1))


def object_table(infos: Iterable[Mapping[str, Any]]) -> ObjectTable:
    """The objects of a data set.

    Args:
        infos: of every image: ``instances`` with ``bbox``, ``bbox_label`` and ``ignore_flag``,
            ``width`` and ``height``, and of panoptic sets ``segments_info`` with ``category``
            and ``is_thing``, as far as it has them.
    """
    places: list[int] = []
    labels: list[int] = []
    boxes: list[Any] = []
    ignored: list[bool] = []
    sizes: list[tuple[float, float]] = []
    stuff: list[tuple[int, int]] = []
    for index, info in enumerate(infos):
        width, height = info.get('width'), info.get('height')
        sizes.append((width or np.nan, height or np.nan))
        for instance in info.get('instances', ()):
            places.append(index)
            labels.append(instance.get('bbox_label', -1))
            boxes.append(instance.get('bbox', _NO_BOX))
            ignored.append(bool(instance.get('ignore_flag', 0)))
        stuff += [
            (index, segment['category'])
            for segment in info.get('segments_info', ())
            if not segment.get('is_thing', True) and not segment.get('iscrowd')
        ]
    stuff_table = np.array(stuff, np.int64).reshape(-1, 2)
    return ObjectTable(
        np.array(places, np.int64),
        np.array(labels, np.int64),
        np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4),
        np.array(ignored, bool),
        np.array(sizes, np.float64).reshape(-1, 2),
        stuff_table[:, 0],
        stuff_table[:, 1],
    )


_NO_BOX = (0.0, 0.0, 0.0, 0.0)
