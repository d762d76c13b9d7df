"""The patches of a data set that each channel of a layer answers to most.

Two passes: one finds the places, in memory that does not grow with the data set; one cuts the
patches out of the pictures that won.

Shape legend: C channels, k patches of each; ``h x w`` cells.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mmext.explain.activations import activations, field_of_view, one_output
from mmext.explain.layers import Layer
from mmext.explain.nearest import StrongestPlaces
from mmext.explain.network import Network
from mmext.explain.truth import TruePicture, Truth

Pictures = Callable[[], Iterable[TruePicture]]


class Patch(NamedTuple):
    """A place of a picture.

    Attributes:
        picture: its name.
        value: of the activation.
        crop: BGR ``[s, s, 3]``; what is outside of the picture is black.
        name: the class of the truth in its middle; '' without.
    """

    picture: str
    value: float
    crop: npt.NDArray[np.uint8]
    name: str


class Found(NamedTuple):
    """The patches of the channels.

    Attributes:
        patches: of each channel, strongest first.
        field_px: side of the square that a cell sees, px of the input.
    """

    patches: dict[int, list[Patch]]
    field_px: int


def strongest_patches(
    network: Network,
    pictures: Pictures,
    layer: Layer,
    channels: Callable[[StrongestPlaces], list[int]],
    k: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Found:
    """Find the patches of some channels.

    Args:
        network: of the detector.
        pictures: makes an iterator over the data set, twice the same.
        layer: with one output.
        channels: which ones, of all that were found.
        k: patches of each.
        advance: told about every picture of the first pass.
    """
    places: StrongestPlaces | None = None
    cells_hw, field_px = {}, 0
    for picture in pictures():
        with network.undisturbed():
            prepared = network.prepare(picture.image, picture.name)
            maps = one_output(activations(network, prepared, layer), layer).cpu().numpy()
            if places is None:
                places = StrongestPlaces(len(maps), k)
                field_px = field_of_view(network, prepared, layer)
        places.add(picture.number, maps)
        cells_hw[picture.number] = maps.shape[1:], prepared.size_hw, prepared.frame
        advance(1)
    if places is None:
        return Found({}, 0)
    wanted = channels(places)
    winners: dict[int, list[tuple[int, int]]] = {}
    for channel in wanted:
        for rank, image in enumerate(places.images[channel].tolist()):
            if image >= 0:
                winners.setdefault(image, []).append((channel, rank))
    found: dict[int, dict[int, Patch]] = {channel: {} for channel in wanted}
    for picture in pictures():
        for channel, rank in winners.get(picture.number, ()):
            shape, size_hw, frame = cells_hw[picture.number]
            y, x = places.cells_yx[channel, rank]
            scale_w, scale_h = frame.scale_wh
            middle = (
                ((x + 0.5) * size_hw[1] / shape[1] - frame.left) / scale_w,
                ((y + 0.5) * size_hw[0] / shape[0] - frame.top) / scale_h,
            )
            found[channel][rank] = Patch(
                picture.name,
                float(places.values[channel, rank]),
                cut(picture.image, middle, field_px / scale_w),
                _class_at(picture.truth, middle, network.classes),
            )
    return Found({c: [ranks[r] for r in sorted(ranks)] for c, ranks in found.items()}, field_px)


def cut(
    image: npt.NDArray[np.uint8], middle_xy: tuple[float, float], side_px: float
) -> npt.NDArray[np.uint8]:
    """The square of a picture ``[h, w, 3]`` around a point, black where there is no picture."""
    side = max(2, round(side_px))
    left, top = round(middle_xy[0] - side / 2), round(middle_xy[1] - side / 2)
    crop = np.zeros((side, side, 3), np.uint8)
    height, width = image.shape[:2]
    y1, y2, x1, x2 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
    if y1 < y2 and x1 < x2:
        crop[y1 - top : y2 - top, x1 - left : x2 - left] = image[y1:y2, x1:x2]
    return crop


def majority(patches: list[Patch]) -> tuple[str, float]:
    """The class that most patches lie on, and its share; ('', 0) if most lie on none."""
    names = Counter(patch.name for patch in patches)
    if not names:
        return '', 0.0
    name, count = max(names.items(), key=lambda item: (item[1], item[0]))
    return name, count / len(patches)


def _class_at(truth: Truth, middle_xy: tuple[float, float], classes: tuple[str, ...]) -> str:
    """The class of the smallest truth around a point."""
    x, y = middle_xy
    around = [
        ((box[2] - box[0]) * (box[3] - box[1]), int(label))
        for box, label in _objects(truth)
        if box[0] <= x < box[2] and box[1] <= y < box[3]
    ]
    return classes[min(around)[1]] if around else ''


def _objects(truth: Truth) -> Iterator[tuple[npt.NDArray[np.float64], int]]:
    for box, label, ignored in zip(truth.boxes_xyxy, truth.labels, truth.ignored, strict=True):
        if not ignored:
            yield box, int(label)
