r"""Attributes and meshes of faces: a file of one's own beside any WIDER annotation file.

JSON, one object per line. The first says what the attributes and the mesh are, each other one
what is known of the faces of one image, in the order of the annotation file::

    {"attributes": [{"name": "glasses", "values": ["no", "yes"], "kind": "binary"}],
     "mesh": {"num_vertices": 81, "flip_pairs": [[0, 8], ...], "triangles": [[0, 1, 9], ...]}}
    {"image": "a/1.jpg", "faces": [{"attributes": {"glasses": "yes"}, "mesh": [[x, y, z], ...]}]}

Everything but ``image`` and ``faces`` may be left out. Vertices are x, y in pixels of the image
and z in the same unit, away from the camera. Kinds are ``binary``, ``categorical``, ``ordinal``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError
from mmext.formats.text_files import read_text

KINDS = ('binary', 'categorical', 'ordinal')
AttributeTable = tuple[dict[str, Any], ...]
_SCALARS = (str, int, float)
_WORDS = {list: 'a list', Mapping: 'an object', str: 'a text or a number'}


@dataclass(frozen=True)
class MeshTopology:
    """What all meshes of a set share.

    Attributes:
        num_vertices: V.
        flip_pairs: vertices that swap in mirror images.
        triangles: of vertex numbers.
    """

    num_vertices: int
    flip_pairs: tuple[tuple[int, int], ...] = ()
    triangles: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class ImageDetails:
    """The faces of one image, N of them.

    Attributes:
        attributes: ``[N, A]`` numbers of the values, -1 = unknown.
        mesh: ``[N, V, 3]`` float32, 0 where there is none.
        mesh_valid: ``[N]`` bool.
        line: of the file.
    """

    attributes: NDArray[np.int64]
    mesh: NDArray[np.float32]
    mesh_valid: NDArray[np.bool_]
    line: int = 0


@dataclass(frozen=True)
class FaceDetails:
    """A whole file.

    Attributes:
        attributes: dicts with ``name``, ``values``, ``kind``.
        mesh: None without meshes.
        images: by name.
    """

    attributes: AttributeTable = ()
    mesh: MeshTopology | None = None
    images: Mapping[str, ImageDetails] = field(default_factory=dict)


def check_attributes(attributes: Iterable[Mapping[str, Any]], source: str) -> AttributeTable:
    """The attributes as tuples, or an error that names the wrong one.

    Raises:
        InputError: no name or one twice, an unknown kind, fewer than two values, or more than
            two of a binary one.
    """
    table: list[dict[str, Any]] = []
    for entry in _typed(attributes, (list, tuple), f'{source}: attributes'):
        name = _typed(entry, Mapping, f'{source}: attributes').get('name')
        values = tuple(_typed(entry.get('values', ()), (list, tuple), f'{source}: {name}: values'))
        for value in values:
            _typed(value, _SCALARS, f'{source}: {name}: values')
        kind = entry.get('kind', 'categorical')
        if not isinstance(name, str) or name in {a['name'] for a in table}:
            raise InputError(f'{source}: attributes: expected names that differ, got {name!r}')
        if kind not in KINDS:
            raise InputError(f'{source}: attribute {name}: kind: expected {KINDS}, got {kind!r}')
        if len(set(values)) < 2 or len(set(values)) < len(values):
            raise InputError(f'{source}: attribute {name}: expected 2 values or more, got {values}')
        if kind == 'binary' and len(values) != 2:
            raise InputError(f'{source}: attribute {name}: binary has 2 values, got {values}')
        table.append({'name': name, 'values': values, 'kind': kind})
    return tuple(table)


def read_face_details(path: str | Path) -> FaceDetails:
    """A file of attributes and meshes.

    Raises:
        MissingFileError: no such file.
        InputError: a line is wrong; file and line are named.
    """
    lines = read_text(path).splitlines()
    records = [
        (number, _object(line, f'{path}:{number}'))
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not records:
        raise InputError(f'{path}: empty')
    number, header = records[0]
    unknown = header.keys() - {'attributes', 'mesh'}
    if unknown:
        raise InputError(
            f'{path}:{number}: the first line says what "attributes" and "mesh" are, '
            f'got {sorted(unknown)}'
        )
    table = check_attributes(header.get('attributes', ()), f'{path}:{number}')
    topology = _topology(header['mesh'], f'{path}:{number}') if 'mesh' in header else None
    images: dict[str, ImageDetails] = {}
    for number, record in records[1:]:
        where = f'{path}:{number}'
        if not isinstance(record.get('image'), str) or not isinstance(record.get('faces'), list):
            raise InputError(f'{where}: expected "image" and "faces", got {sorted(record)}')
        if record['image'] in images:
            first = images[record['image']].line
            raise InputError(f'{where}: {record["image"]} again, first in line {first}')
        images[record['image']] = _details(record['faces'], table, topology, number, where)
    return FaceDetails(table, topology, images)


def write_face_details(path: str | Path, details: FaceDetails) -> None:
    """Write a file that :func:`read_face_details` reads; coordinates to 1/100 pixel."""
    header: dict[str, Any] = {'attributes': list(details.attributes)}
    if details.mesh is not None:
        header['mesh'] = {
            'num_vertices': details.mesh.num_vertices,
            'flip_pairs': details.mesh.flip_pairs,
            'triangles': details.mesh.triangles,
        }
    lines = [_compact(header)]
    for name, image in details.images.items():
        faces = []
        for row, mesh, valid in zip(image.attributes, image.mesh, image.mesh_valid, strict=True):
            named = zip(details.attributes, row, strict=True)
            face: dict[str, Any] = {
                'attributes': {a['name']: a['values'][value] for a, value in named if value >= 0}
            }
            if valid:
                face['mesh'] = np.round(mesh.astype(np.float64), 2).tolist()
            faces.append(face)
        lines.append(_compact({'image': name, 'faces': faces}))
    Path(path).write_text('\n'.join(lines) + '\n', encoding='utf-8')


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(',', ':'), ensure_ascii=False)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(f'{where}: no JSON ({error})') from None
    if not isinstance(value, dict):
        raise InputError(f'{where}: expected an object, got {line[:60]!r}')
    return value


def _typed(value: Any, kind: Any, where: str) -> Any:
    """The value, or an error that names the place if it is of another kind."""
    if not isinstance(value, kind):
        expected = _WORDS[kind[0] if isinstance(kind, tuple) else kind]
        raise InputError(f'{where}: expected {expected}, got {str(value)[:60]!r}')
    return value


def _topology(entry: Any, where: str) -> MeshTopology:
    count = _typed(entry, Mapping, f'{where}: mesh').get('num_vertices')
    if not isinstance(count, int) or count < 1:
        raise InputError(f'{where}: mesh: num_vertices: expected 1 or more, got {count!r}')
    pairs = _vertex_tuples(entry, 'flip_pairs', 2, count, where)
    return MeshTopology(count, pairs, _vertex_tuples(entry, 'triangles', 3, count, where))


def _vertex_tuples(
    entry: Mapping[str, Any], name: str, length: int, count: int, where: str
) -> tuple[Any, ...]:
    """Pairs or triangles of vertices."""
    where = f'{where}: mesh: {name}'
    items = [tuple(_typed(i, list, where)) for i in _typed(entry.get(name, []), list, where)]
    for item in items:
        good = all(isinstance(vertex, int) and 0 <= vertex < count for vertex in item)
        if len(item) != length or not good:
            raise InputError(f'{where}: expected {length} vertices 0 to {count - 1}, got {item}')
    return tuple(items)


def _details(
    faces: Sequence[Mapping[str, Any]],
    table: AttributeTable,
    topology: MeshTopology | None,
    line: int,
    where: str,
) -> ImageDetails:
    vertices = topology.num_vertices if topology else 0
    attributes = np.full((len(faces), len(table)), -1, np.int64)
    mesh = np.zeros((len(faces), vertices, 3), np.float32)
    valid = np.zeros(len(faces), bool)
    numbers = [{value: i for i, value in enumerate(a['values'])} for a in table]
    columns = {a['name']: i for i, a in enumerate(table)}
    for row, face in enumerate(faces):
        known = _typed(face, Mapping, f'{where}: face {row}').get('attributes', {})
        for name, value in _typed(known, Mapping, f'{where}: face {row}: attributes').items():
            column = columns.get(name)
            if column is None:
                raise InputError(f'{where}: face {row}: no attribute {name!r} in the first line')
            if value is not None and value not in list(numbers[column]):
                expected = ', '.join(map(str, table[column]['values']))
                raise InputError(
                    f'{where}: face {row}: {name}: expected one of {expected}, got {value!r}'
                )
            attributes[row, column] = -1 if value is None else numbers[column][value]
        if face.get('mesh') is not None:
            mesh[row] = _vertices(face['mesh'], vertices, f'{where}: face {row}')
            valid[row] = True
    return ImageDetails(attributes, mesh, valid, line)


def _vertices(values: Any, count: int, where: str) -> NDArray[np.float32]:
    try:
        mesh = np.asarray(values, np.float32)
    except ValueError:
        mesh = np.zeros(0, np.float32)
    if mesh.shape != (count, 3) or not np.isfinite(mesh).all():
        raise InputError(
            f'{where}: mesh: expected {count} vertices of three finite numbers, '
            f'got shape {list(mesh.shape)}'
        )
    return mesh
