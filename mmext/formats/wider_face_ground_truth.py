"""The ground truth of WIDER FACE's evaluation: its .mat files, one table per image.

``wider_face_val.mat`` lists the faces of every image, ``wider_{easy,medium,hard}_val.mat``
which of them count in each setting, by numbers from 1; the others are ignored there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError
from mmext.formats.mat_files import load_mat, save_mat
from mmext.formats.wider_face_files import ATTRIBUTES

SETTINGS = ('easy', 'medium', 'hard')
FACES_FILE = 'wider_face_val.mat'
_ARCHIVE = 'eval_tools.zip of WIDER FACE has it (eval_tools/ground_truth)'


@dataclass(frozen=True)
class ImageTruth:
    """The faces of one image, N of them.

    Attributes:
        name: ``event/file``, without ``.jpg``.
        boxes_xywh: ``[N, 4]``, pixels, float64.
        counted: of each setting, ``[N]`` bool.
        attributes: ``[N, 6]``, see :data:`mmext.formats.wider_face_files.ATTRIBUTES`;
            -1 = unknown.
    """

    name: str
    boxes_xywh: NDArray[np.float64]
    counted: dict[str, NDArray[np.bool_]]
    attributes: NDArray[np.int64]


def setting_file(setting: str) -> str:
    """File name of the list of counted faces."""
    return f'wider_{setting}_val.mat'


def read_ground_truth(folder: str | Path) -> list[ImageTruth]:
    """All images of the four official files, in their order.

    Args:
        folder: with ``wider_face_val.mat`` and ``wider_{easy,medium,hard}_val.mat``.

    Raises:
        MissingFileError: one is missing.
        InputError: one is no such file, or they do not belong together.
    """
    folder = Path(folder)
    faces = load_mat(folder / FACES_FILE, ('event_list', 'file_list', 'face_bbx_list'), _ARCHIVE)
    lists = {
        s: load_mat(folder / setting_file(s), ('gt_list',), _ARCHIVE)['gt_list'] for s in SETTINGS
    }
    tables = [faces.get(f'{attribute["name"]}_label_list') for attribute in ATTRIBUTES]
    images = []
    for event, event_name in enumerate(_strings(faces['event_list'])):
        for number, file_name in enumerate(_strings(faces['file_list'][event, 0])):
            boxes = _cell(faces['face_bbx_list'], event, number).reshape(-1, 4)
            name = f'{event_name}/{file_name}'
            counted = {
                setting: _flags(_cell(table, event, number), len(boxes), name, setting)
                for setting, table in lists.items()
            }
            attributes = [_column(table, event, number, len(boxes), name) for table in tables]
            images.append(
                ImageTruth(name, boxes.astype(np.float64), counted, np.stack(attributes, axis=1))
            )
    return images


def write_ground_truth(folder: str | Path, images: list[ImageTruth]) -> None:
    """Write the four files for images of one's own, grouped by event in the order given.

    Raises:
        InputError: a name is not ``event/file``, or a setting is missing.
    """
    events: dict[str, list[ImageTruth]] = {}
    for image in images:
        event, _, file_name = image.name.partition('/')
        if not event or not file_name or set(image.counted) != set(SETTINGS):
            raise InputError(f'{image.name!r}: expected event/file and the settings {SETTINGS}')
        events.setdefault(event, []).append(image)
    names = [_cells([i.name.partition('/')[2] for i in e]) for e in events.values()]
    shared = {
        'event_list': _cells(list(events)),
        'file_list': _cells(names),
        'face_bbx_list': _cells([_cells([i.boxes_xywh for i in e]) for e in events.values()]),
    }
    for column, attribute in enumerate(ATTRIBUTES):
        shared[f'{attribute["name"]}_label_list'] = _cells(
            [_cells([i.attributes[:, column, None] for i in e]) for e in events.values()]
        )
    save_mat(Path(folder) / FACES_FILE, shared)
    for setting in SETTINGS:
        numbers = [
            _cells([1 + np.flatnonzero(i.counted[setting])[:, None] for i in e])
            for e in events.values()
        ]
        save_mat(Path(folder) / setting_file(setting), {**shared, 'gt_list': _cells(numbers)})


def _strings(cells: NDArray[Any]) -> list[str]:
    return [str(np.ravel(cell)[0]) for cell in cells[:, 0]]


def _cell(table: NDArray[Any], event: int, number: int) -> NDArray[Any]:
    content: NDArray[Any] = table[event, 0][number, 0]
    return content


def _flags(numbers: NDArray[Any], count: int, name: str, setting: str) -> NDArray[np.bool_]:
    index = np.ravel(numbers).astype(np.int64) - 1
    if index.size and (index.min() < 0 or index.max() >= count):
        raise InputError(
            f'{setting_file(setting)}: {name}: face numbers {index.min() + 1} to '
            f'{index.max() + 1} of {count} faces'
        )
    flags = np.zeros(count, bool)
    flags[index] = True
    return flags


def _column(table: Any, event: int, number: int, count: int, name: str) -> NDArray[np.int64]:
    if table is None:
        return np.full(count, -1)
    values = np.ravel(_cell(table, event, number)).astype(np.int64)
    if len(values) != count:
        raise InputError(f'{FACES_FILE}: {name}: {count} boxes, {len(values)} attribute values')
    return values


def _cells(items: list[Any]) -> NDArray[np.object_]:
    """A column of MATLAB cells, ``[n, 1]``."""
    column = np.empty((len(items), 1), object)
    for index, item in enumerate(items):
        column[index, 0] = item
    return column
