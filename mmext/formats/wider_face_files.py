r"""WIDER FACE annotation files: the three text formats that are in use, read and written.

``'wider'``, the original one (``wider_face_{train,val}_bbx_gt.txt``)::

    0--Parade/0_Parade_marchingband_1_849.jpg
    1
    449 330 122 149 0 0 0 0 0 0       x y w h blur expression illumination invalid occlusion pose

An image without faces has count 0 and one line of zeros.

``'retinaface'`` (``label.txt`` of retinaface_gt_v1.1), 4 or 20 numbers per face::

    # 0--Parade/0_Parade_marchingband_1_849.jpg
    449 330 122 149 488.9 373.6 0.0 542.0 376.4 0.0 ... 0.82     x y w h, 5 x (x y v), blur

``'labelv2'`` (``labelv2.txt`` of SCRFD and YuNet), 4, 5 or 19 numbers per face::

    # 0--Parade/0_Parade_marchingband_1_849.jpg 1024 1385        name width height
    449 330 571 479 488.9 373.6 0.0 ...                          x1 y1 x2 y2, 5 x (x y v)
    449 330 571 479 1                                            or x1 y1 x2 y2 ignore

In the last two v is 0 for a visible point, 1 for an occluded one, -1 for one not annotated.
Points: left eye, right eye, nose, left and right corner of the mouth, as seen in the image.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError
from mmext.formats.text_files import read_text
from mmext.functional.keypoints import OCCLUDED, UNKNOWN, VISIBLE

Form = Literal['wider', 'retinaface', 'labelv2']
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Row = tuple[int, str]

NUM_LANDMARKS = 5
LANDMARK_NAMES = ('left_eye', 'right_eye', 'nose', 'left_mouth', 'right_mouth')
LANDMARK_FLIP_PAIRS = ((0, 1), (3, 4))

ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {'name': 'blur', 'values': ('clear', 'normal', 'heavy'), 'kind': 'ordinal'},
    {'name': 'expression', 'values': ('typical', 'exaggerate'), 'kind': 'binary'},
    {'name': 'illumination', 'values': ('normal', 'extreme'), 'kind': 'binary'},
    {'name': 'invalid', 'values': ('no', 'yes'), 'kind': 'binary'},
    {'name': 'occlusion', 'values': ('no', 'partial', 'heavy'), 'kind': 'ordinal'},
    {'name': 'pose', 'values': ('typical', 'atypical'), 'kind': 'binary'},
)
"""WIDER's own attributes of a face, in the order of the original text format."""

BLUR, EXPRESSION, ILLUMINATION, INVALID, OCCLUSION, POSE = range(len(ATTRIBUTES))
_LIMITS = np.array([len(attribute['values']) for attribute in ATTRIBUTES])
_FILE_OF_VISIBILITY = {VISIBLE: '0.0', OCCLUDED: '1.0', UNKNOWN: '-1.0'}
_FIELDS: dict[str, tuple[int, ...]] = {
    'wider': (10,),
    'retinaface': (4, 20),
    'labelv2': (4, 5, 19),
}


def _no_boxes() -> Floats:
    return np.zeros((0, 4))


@dataclass(frozen=True)
class ImageFaces:
    """The faces of one image, N of them; arrays that are not given stand for 'not known'.

    Attributes:
        name: path of the image below the folder of the images, with ``/``.
        boxes_xywh: ``[N, 4]``, pixels, as they stand in the file (there are empty ones).
        landmarks: ``[N, 5, 2]``, pixels; 0 where not annotated.
        visible: ``[N, 5]``, 0 = not annotated, 1 = occluded, 2 = visible.
        attributes: ``[N, 6]``, of :data:`ATTRIBUTES`, -1 = unknown.
        ignored: ``[N]`` bool, faces that neither count nor are false alarms.
        blurriness: ``[N]``, the last number of a ``'retinaface'`` line, nan = unknown.
        size: width and height of the image, if the file states it.
        line: of the file where the image begins.
    """

    name: str
    boxes_xywh: Floats = field(default_factory=_no_boxes)
    landmarks: Floats = None  # type: ignore[assignment]
    visible: Ints = None  # type: ignore[assignment]
    attributes: Ints = None  # type: ignore[assignment]
    ignored: NDArray[np.bool_] = None  # type: ignore[assignment]
    blurriness: Floats = None  # type: ignore[assignment]
    size: tuple[int, int] | None = None
    line: int = 0

    def __post_init__(self) -> None:
        """Fill in what is not known."""
        count = len(self.boxes_xywh)
        unknown: dict[str, NDArray[Any]] = {
            'landmarks': np.zeros((count, NUM_LANDMARKS, 2)),
            'visible': np.full((count, NUM_LANDMARKS), UNKNOWN),
            'attributes': np.full((count, len(ATTRIBUTES)), -1),
            'ignored': np.zeros(count, bool),
            'blurriness': np.full(count, np.nan),
        }
        for name, array in unknown.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, array)

    def __len__(self) -> int:
        """Number of faces."""
        return len(self.boxes_xywh)


def read_faces(path: str | Path, form: Form | None = None) -> list[ImageFaces]:
    """The images of an annotation file, in its order.

    Args:
        path: of the file.
        form: None finds it out from the first lines.

    Raises:
        MissingFileError: no such file.
        InputError: a line is not of the format; file and line are named.
    """
    return parse_faces(read_text(path), str(path), form)


def parse_faces(text: str, source: str, form: Form | None = None) -> list[ImageFaces]:
    """The images of an annotation text, see :func:`read_faces`; ``source`` names it in errors."""
    rows = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not rows:
        raise InputError(f'{source}: no image in it')
    form = form or _form_of(rows[0][1])
    blocks = _wider_blocks(rows, source) if form == 'wider' else _hash_blocks(rows, source)
    images, seen = [], dict[str, int]()
    for (line, header), faces in blocks:
        image = _image(header, line, faces, form, source)
        if image.name in seen:
            first = seen[image.name]
            raise InputError(f'{source}:{line}: {image.name} again, first in line {first}')
        seen[image.name] = line
        images.append(image)
    return images


def write_faces(
    path: str | Path, images: Iterable[ImageFaces], form: Form, boxes_only: bool = False
) -> None:
    """Write an annotation file; what a format has no place for is left out.

    Args:
        path: of the file.
        images: with ``size`` for ``'labelv2'``, with all attributes for ``'wider'``.
        form: of the file.
        boxes_only: 4 numbers per face, as in the published val files of the two newer formats.

    Raises:
        InputError: the format needs what an image does not have.
    """
    lines = [line for image in images for line in _lines(image, form, boxes_only)]
    Path(path).write_text(''.join(line + '\n' for line in lines), encoding='utf-8')


def _form_of(first_line: str) -> Form:
    if not first_line.startswith('#'):
        return 'wider'
    return 'labelv2' if len(_split_header(first_line, 'labelv2')) == 3 else 'retinaface'


def _split_header(header: str, form: Form) -> tuple[str, ...]:
    """(name) or (name, width, height) of a line with ``#``; a name may contain blanks."""
    text = header.removeprefix('#').strip()
    parts = text.rsplit(maxsplit=2)
    if form == 'labelv2' and len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
        return tuple(parts)
    return (text,)


def _hash_blocks(rows: Sequence[Row], source: str) -> Iterator[tuple[Row, list[Row]]]:
    """(header, lines of the faces) of the formats with ``#``."""
    starts = [i for i, (_, text) in enumerate(rows) if text.startswith('#')]
    if not starts or starts[0] != 0:
        raise InputError(
            f'{source}:{rows[0][0]}: expected "# name of an image", got {rows[0][1][:60]!r}'
        )
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield rows[start], list(rows[start + 1 : end])


def _wider_blocks(rows: Sequence[Row], source: str) -> Iterator[tuple[Row, list[Row]]]:
    """(name, lines of the faces) of the original format."""
    position = 0
    while position < len(rows):
        header = rows[position]
        line, text = rows[position + 1] if position + 1 < len(rows) else (header[0], '')
        if not text.isdigit():
            raise InputError(
                f'{source}:{line}: expected the number of faces of {header[1]}, got {text[:60]!r}'
            )
        position += 2
        faces = list(rows[position : position + int(text)])
        if len(faces) < int(text):
            raise InputError(
                f'{source}:{line}: {text} faces announced for {header[1]}, {len(faces)} lines left'
            )
        position += len(faces)
        yield header, faces
        if not faces and position < len(rows) and _is_zeros(rows[position][1]):
            position += 1  # the line that stands for no face


def _is_zeros(text: str) -> bool:
    fields = text.split()
    return len(fields) == _FIELDS['wider'][0] and set(fields) == {'0'}


def _image(header: str, line: int, faces: list[Row], form: Form, source: str) -> ImageFaces:
    numbers = _numbers(faces, _FIELDS[form], source)
    if form == 'wider':
        attributes = _attributes(numbers[:, 4:], faces, source)
        return ImageFaces(header, numbers[:, :4], attributes=attributes, line=line)
    name, *size = _split_header(header, form)
    if not name or (form == 'labelv2' and not size):
        expected = '# name width height' if form == 'labelv2' else '# name'
        raise InputError(f'{source}:{line}: expected "{expected}", got {header!r}')
    if form == 'retinaface':
        points, visible = _landmarks(numbers[:, 4:19], faces, source)
        return ImageFaces(
            name, numbers[:, :4], points, visible, blurriness=numbers[:, 19], line=line
        )
    boxes = np.concatenate([numbers[:, :2], numbers[:, 2:4] - numbers[:, :2]], axis=1)
    has_flag = np.isnan(numbers[:, 5]) & ~np.isnan(numbers[:, 4])
    flags = np.where(has_flag, numbers[:, 4], 0)
    _refuse(~np.isin(flags, (0, 1)), faces, source, 'expected an ignore flag of 0 or 1')
    triples = np.where(has_flag[:, None], np.nan, numbers[:, 4:19])
    points, visible = _landmarks(triples, faces, source)
    width, height = (int(side) for side in size)
    return ImageFaces(
        name, boxes, points, visible, ignored=flags == 1, size=(width, height), line=line
    )


def _numbers(rows: Sequence[Row], allowed: Sequence[int], source: str) -> Floats:
    """The numbers of each line, ``[N, max(allowed)]``, nan beyond the end of a line.

    Raises:
        InputError: another number of fields than ``allowed``, or no finite numbers.
    """
    fields = [text.split() for _, text in rows]
    table = np.full((len(rows), max(allowed)), np.nan)
    for index, values in enumerate(fields):
        line = rows[index][0]
        if len(values) not in allowed:
            expected = ' or '.join(map(str, allowed))
            raise InputError(f'{source}:{line}: expected {expected} numbers, got {len(values)}')
        try:
            table[index, : len(values)] = values
        except ValueError:
            raise InputError(f'{source}:{line}: no numbers: {rows[index][1][:60]!r}') from None
        if not np.isfinite(table[index, : len(values)]).all():
            raise InputError(f'{source}:{line}: not finite: {rows[index][1][:60]!r}')
    return table


def _landmarks(triples: Floats, rows: Sequence[Row], source: str) -> tuple[Floats, Ints]:
    """Points ``[N, 5, 2]`` and visibility ``[N, 5]`` of ``[N, 15]``; nan is not annotated."""
    table = np.nan_to_num(triples, nan=-1.0).reshape(-1, NUM_LANDMARKS, 3)
    state = table[..., 2]
    _refuse(
        np.any(~np.isin(state, (-1, 0, 1)), axis=1),
        rows,
        source,
        'expected landmarks as x y v with v = 0 (visible), 1 (occluded) or -1 (not annotated)',
    )
    visible = np.select([state == 0, state == 1], [VISIBLE, OCCLUDED], UNKNOWN)
    return np.where(visible[..., None] > UNKNOWN, table[..., :2], 0.0), visible


def _attributes(values: Floats, rows: Sequence[Row], source: str) -> Ints:
    """WIDER's six attributes ``[N, 6]``."""
    wrong = (values < 0) | (values >= _LIMITS) | (values != np.floor(values))
    if wrong.any():
        face, column = (int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f'{source}:{rows[face][0]}: {ATTRIBUTES[column]["name"]}: expected 0 to '
            f'{_LIMITS[column] - 1}, got {values[face, column]:g}'
        )
    return values.astype(np.int64)


def _refuse(wrong: NDArray[np.bool_], rows: Sequence[Row], source: str, expected: str) -> None:
    if wrong.any():
        line, text = rows[int(np.flatnonzero(wrong)[0])]
        raise InputError(f'{source}:{line}: {expected}, got {text!r}')


def _lines(image: ImageFaces, form: Form, boxes_only: bool) -> Iterator[str]:
    if form == 'wider':
        yield from _wider_lines(image)
        return
    if form == 'labelv2' and image.size is None:
        raise InputError(f'{image.name}: labelv2 states the size of every image, none is known')
    yield f'# {image.name}' + (' {} {}'.format(*(image.size or ())) if form == 'labelv2' else '')
    for face in range(len(image)):
        box = image.boxes_xywh[face].copy()
        if form == 'labelv2':
            box[2:] += box[:2]
        fields = [_text(v) for v in box]
        if form == 'labelv2' and image.ignored[face]:
            fields.append('1')
        elif not boxes_only:
            fields += _landmark_fields(image.landmarks[face], image.visible[face])
            if form == 'retinaface':
                blurriness = float(image.blurriness[face])
                fields.append('1.0' if np.isnan(blurriness) else _text(blurriness))
        yield ' '.join(fields)


def _wider_lines(image: ImageFaces) -> Iterator[str]:
    if (image.attributes < 0).any():
        raise InputError(f'{image.name}: the original format states all six attributes of a face')
    yield image.name
    yield str(len(image))
    for box, attributes in zip(image.boxes_xywh, image.attributes, strict=True):
        yield ' '.join([*(_text(v) for v in box), *(str(v) for v in attributes)])
    if not len(image):
        yield ' '.join(['0'] * _FIELDS['wider'][0])


def _landmark_fields(points: Floats, visible: Ints) -> Iterator[str]:
    for (x, y), state in zip(points, visible, strict=True):
        if state == UNKNOWN:
            yield from ('-1.0', '-1.0')
        else:
            yield from (_text(x), _text(y))
        yield _FILE_OF_VISIBILITY[int(state)]


def _text(value: float) -> str:
    """A number that is read back equal to the last bit."""
    return str(int(value)) if value == int(value) else repr(float(value))
