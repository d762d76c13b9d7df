"""Sheets of pictures: samples as the model sees them, and telling photos as they were annotated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmext.data_report.built_sets import BuiltSet, Part
from mmext.data_report.problems import Problem, Weight, sentence
from mmext.data_report.samples import drawable, loading_alone, sample_name
from mmext.data_report.selection import evenly
from mmext.drawing.colors import Picture, class_colors
from mmext.drawing.contact_sheet import contact_sheet
from mmext.drawing.ground_truth import draw_ground_truth

TILE_PX = 460
_COLUMNS = 3
_JPEG_QUALITY = 88


@dataclass
class Sheet:
    """A sheet of pictures.

    Attributes:
        name: of its file, without ending.
        title: one line.
        jpeg: the picture.
    """

    name: str
    title: str
    jpeg: bytes


def augmented_sheet(
    train: BuiltSet, count: int, advance: Callable[[int], None] = lambda count: None
) -> tuple[Sheet | None, list[Problem]]:
    """Samples of the training after its augmentation, with their ground truth.

    Args:
        train: the data set of the training.
        count: of samples, spread over the data set.
        advance: told about every sample.

    Returns:
        The sheet, None without a sample; what stopped one.
    """
    pictures: list[Picture] = []
    captions: list[list[str]] = []
    problems = []
    for index in evenly(len(train.dataset), count):
        try:
            packed = train.dataset[index]
            picture, truth = drawable(packed, train.parts[0].dataset)
        except Exception as error:
            problems.append(Problem(Weight.STOPS, train.name, sentence(error)))
            break
        meta = packed['data_samples'].metainfo
        pictures.append(draw_ground_truth(picture, truth, train.dataset.metainfo, TILE_PX))
        size = f'{picture.shape[1]}x{picture.shape[0]} px'
        flipped = ', flipped' if meta.get('flip') else ''
        ignored = f', {len(truth.ignored_xyxy)} ignored' if len(truth.ignored_xyxy) else ''
        text = f'{size}{flipped}; {len(truth.boxes_xyxy)} objects{ignored}'
        captions.append([sample_name(meta), text])
        advance(1)
    title = f'{train.name}: samples as the model sees them, after the augmentation of the config'
    return _sheet('augmented_train', title, pictures, captions), problems


def annotated_sheet(
    part: Part,
    chosen: Sequence[tuple[int, str]],
    number: int,
    advance: Callable[[int], None] = lambda count: None,
) -> Sheet | None:
    """Photos of a data set as they were annotated.

    Args:
        part: of the config.
        chosen: images and the reason for each, see :mod:`~mmext.data_report.selection`.
        number: of the sheet.
        advance: told about every photo.
    """
    pipeline = loading_alone(part.dataset)
    pictures: list[Picture] = []
    captions: list[list[str]] = []
    for index, reason in chosen:
        info = part.dataset.get_data_info(index)
        advance(1)
        try:
            picture, truth = drawable(pipeline(info), part.dataset)
        except Exception as error:
            sentence(error)  # is said where the photos are looked at
            pictures.append(_no_picture())
        else:
            pictures.append(draw_ground_truth(picture, truth, part.dataset.metainfo, TILE_PX))
        captions.append([sample_name(info), reason])
    loops = '_'.join(part.loops)
    title = f'{part.name}: annotated photos that say most about the data set'
    return _sheet(f'photos_{number}_{loops}', title, pictures, captions)


def legend(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and colour of every class, as the sheets show it."""
    names = [str(name) for name in meta.get('classes') or ()]
    colors = class_colors(meta.get('palette'), len(names))
    return [
        (name, '#{:02x}{:02x}{:02x}'.format(*(int(part) for part in color)))
        for name, color in zip(names, colors, strict=True)
    ]


def _no_picture() -> Picture:
    return np.full((TILE_PX // 2, TILE_PX, 3), 225, np.uint8)


def _sheet(
    name: str, title: str, pictures: Sequence[Picture], captions: Sequence[Sequence[str]]
) -> Sheet | None:
    if not pictures:
        return None
    sheet = contact_sheet(pictures, captions, _COLUMNS)
    bgr = np.ascontiguousarray(sheet[..., ::-1])
    encoded = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    return Sheet(name, title, encoded.tobytes())
