"""Problems that the annotations show by themselves, without a look at a photo."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from mmext.data_report.built_sets import Part
from mmext.data_report.object_table import Ints, ObjectTable
from mmext.data_report.problems import Problem, Weight
from mmext.data_report.statistics import BoxFacts, ClassRow, ImageFacts
from mmext.errors import InputError
from mmext.formats.box_agreement import Box, check_boxes, mask_window, misplaced
from mmext.formats.box_readings import check_extents
from mmext.pipelines.data_look import masks_to_load
from mmext.pipelines.data_summary import some_names

_FEW_OBJECTS = 10


def summary_problems(part: Part) -> Iterator[Problem]:
    """What the data set itself has found while it was read."""
    summary = part.summary
    for text in summary.left_out.values():
        yield Problem(Weight.LEFT_OUT, part.name, f'objects: {text}')
    if summary.filtered:
        text = f'{summary.filtered} images by filter_cfg'
        yield Problem(Weight.LEFT_OUT, part.name, text)
    if summary.unused:
        text = f'categories that are no class: {some_names(summary.unused)}'
        yield Problem(Weight.LEFT_OUT, part.name, text)
    for note in summary.notes:
        weight = Weight.LEFT_OUT if 'left out' in note else Weight.LOOK
        yield Problem(weight, part.name, note)


def mask_problems(part: Part) -> Iterator[Problem]:
    """Masks that a pipeline loads and the file does not have."""
    if lacking := masks_to_load(part.dataset, part.infos):
        yield Problem(Weight.STOPS, part.name, lacking)


def class_row_problems(part: Part, rows: Sequence[ClassRow]) -> Iterator[Problem]:
    """Classes that cannot be learned, or hardly."""
    if not any(row.objects for row in rows):
        return
    absent = [row.name for row in rows if not row.objects]
    if absent:
        yield Problem(Weight.LOOK, part.name, f'no object of {some_names(absent)}')
    few = [row.name for row in rows if 0 < row.objects < _FEW_OBJECTS]
    if few and 'train' in part.loops:
        text = f'fewer than {_FEW_OBJECTS} objects of {some_names(few)}'
        yield Problem(Weight.LOOK, part.name, text)


def form_problems(
    part: Part, table: ObjectTable, boxes: BoxFacts, images: ImageFacts
) -> Iterator[Problem]:
    """Unusual boxes and images."""
    try:
        counted = ~table.ignored
        sizes = table.image_wh[table.image_index[counted]]
        check_extents(table.boxes_xyxy[counted], sizes, part.summary.source)
    except InputError as error:
        yield Problem(Weight.STOPS, part.name, str(error))
    found: dict[str, Ints] = {
        'boxes reach more than a pixel out of their image': boxes.outside,
        'boxes are there twice, with the same class': boxes.repeated,
        'boxes have a side below 4 px': boxes.tiny,
        'boxes are more than ten times as long as wide': boxes.thin,
    }
    for text, places in found.items():
        if len(places):
            first = int(places[0])
            info = part.infos[table.image_index[first]]
            box = ', '.join(f'{value:g}' for value in table.boxes_xyxy[first].round(1))
            share = f'{len(places)} of {boxes.boxes}'
            where = f'first: {info.get("img_path")}, x1, y1, x2, y2 = {box}'
            yield Problem(Weight.LOOK, part.name, f'{share} {text} ({where})')
    if images.empty and images.empty < images.images and boxes.boxes:
        text = f'{images.empty} of {images.images} images have no object that counts'
        yield Problem(Weight.LOOK, part.name, text)


def suspicious_images(table: ObjectTable, boxes: BoxFacts, count: int = 3) -> dict[int, str]:
    """Images that a look at the boxes makes suspicious, a few of each kind."""
    found: dict[int, str] = {}
    for text, places in (
        ('suspicious: box out of the image', boxes.outside),
        ('suspicious: a box twice', boxes.repeated),
        ('suspicious: a tiny box', boxes.tiny),
        ('suspicious: a thin box', boxes.thin),
    ):
        for image in np.unique(table.image_index[places])[:count].tolist():
            found.setdefault(image, text)
    return found


def mask_pairs(part: Part, images: Iterable[int]) -> Iterator[tuple[int, tuple[Box, Box]]]:
    """Place of the image, box and window of the mask of each object that has one; no crowds.

    Args:
        part: of the config.
        images: places of the images to look at.
    """
    for index in images:
        info = part.infos[index]
        height, width = info.get('height'), info.get('width')
        for instance in info.get('instances', ()):
            mask = instance.get('mask')
            if mask and not instance.get('ignore_flag'):
                window = mask_window(mask, height, width)
                if window is not None:
                    yield index, (tuple(instance['bbox']), window)


def pair_problems(
    part: Part, places: Sequence[int], pairs: Sequence[tuple[Box, Box]]
) -> tuple[list[Problem], dict[int, str]]:
    """Compare boxes with the pixels they belong to.

    Args:
        part: of the config.
        places: of the image of each pair.
        pairs: box and window of the pixels.

    Returns:
        Problems; the images they are in, with a word.
    """
    if not pairs:
        return [], {}
    numbers = chain.from_iterable(chain.from_iterable(pairs))
    boxes, windows = np.fromiter(numbers, float).reshape(-1, 2, 4).transpose(1, 0, 2)
    wrong = np.flatnonzero(misplaced(boxes, windows))
    if not len(wrong):
        return [], {}
    images = {int(places[i]): 'suspicious: box not around its mask' for i in wrong[:100]}
    try:
        check_boxes(pairs, part.summary.source)
    except InputError as error:
        return [Problem(Weight.STOPS, part.name, str(error))], images
    first = int(wrong[0])
    text = (
        f'{len(wrong)} of {len(pairs)} boxes are not around the pixels of their object (first: '
        f'{part.infos[places[first]].get("img_path")}, x1, y1, x2, y2 = '
        f'{boxes[first].round(1).tolist()}, pixels {windows[first].round(1).tolist()})'
    )
    return [Problem(Weight.LOOK, part.name, text)], images
