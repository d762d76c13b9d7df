"""The surface that (I, U, V) of persons mean: its vertices, their distances, its mirror image.

In a folder, all numbers counted from 0 but for the parts, 1 to 24::

    mesh.npz                        what :class:`SurfaceMesh` has but for the distances
    geodesics.npy                   float32, the distance of the vertices i > j at i (i - 1) / 2 + j
    UV_symmetry_transforms.mat      tables of mirrored U and V, as DensePose has them

Sources: Güler et al., "DensePose", CVPR 2018, and the layout of its published data. SMPL's own
surface is not free; a generated one, or one that the user has, takes its place.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.mat_files import load_mat, save_mat
from mmext.formats.numpy_files import read_npz

NUM_PARTS = 24
TABLE_SIDE = 256
MIRRORED_PARTS = (
    *(0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13),
    *(16, 15, 18, 17, 20, 19, 22, 21, 24, 23),
)
"""The part that each one is in a mirror image, 0 is the background."""

NO_MIRROR = -1
MESH_FILE, GEODESICS_FILE = 'mesh.npz', 'geodesics.npy'
SYMMETRY_FILE = 'UV_symmetry_transforms.mat'

_SLACK = 1e-3  # of values beyond their range

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SurfaceMesh:
    """A surface of V vertices.

    Attributes:
        vertices: ``[V, 3]``, metres, in the pose of rest.
        part: ``[V]``, 1 to 24.
        u, v: ``[V]``, 0 to 1, on the chart of the part.
        mirror: ``[V]``, the vertex on the other side of the body, ``NO_MIRROR`` if it is not known.
        triangles: ``[T, 3]``.
        kappa: ``[25]``, metres: what counts as near, by part; that of part 0 is not used.
        geodesics: ``[V (V - 1) / 2]``, metres.
    """

    vertices: Floats
    part: Ints
    u: Floats
    v: Floats
    mirror: Ints
    triangles: Ints
    kappa: Floats
    geodesics: Floats

    def distances(self, first: Ints, second: Ints) -> Floats:
        """Along the surface between pairs of vertices, ``[...]`` as both indices, metres.

        Raises:
            InputError: one is no number.
        """
        first, second = np.broadcast_arrays(first, second)
        high, low = np.maximum(first, second), np.minimum(first, second)
        place = high * (high - 1) // 2 + low
        found = np.asarray(self.geodesics[np.where(high == low, 0, place)], np.float64)
        found = np.where(high == low, 0.0, found)
        if (unknown := np.isnan(found)).any():
            raise InputError(
                f'{GEODESICS_FILE}: the distance of the vertices {low[unknown][0]} and '
                f'{high[unknown][0]} is no number; make the surface again'
            )
        return found


_STORED = tuple(field.name for field in fields(SurfaceMesh) if field.name != 'geodesics')


def write_surface(folder: Path, mesh: SurfaceMesh) -> None:
    """Write mesh and distances into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / MESH_FILE, **{name: getattr(mesh, name) for name in _STORED})
    np.save(folder / GEODESICS_FILE, np.asarray(mesh.geodesics, np.float32))


def read_surface(folder: str | Path) -> SurfaceMesh:
    """The surface in a folder; its distances stay on disk and are read where they are used.

    Raises:
        MissingFileError: one of the two files is missing.
        InputError: they are no such files, do not belong together, or have values that nothing can
            mean.
    """
    folder = Path(folder)
    for name in (MESH_FILE, GEODESICS_FILE):
        if not (folder / name).is_file():
            raise MissingFileError(
                f'no surface at {(folder / name).absolute()}: python -m mmext.demo figures writes '
                'one into the folder surface/ of the set'
            )
    found = read_npz(folder / MESH_FILE)
    if missing := [name for name in _STORED if name not in found]:
        raise InputError(f'{folder / MESH_FILE}: no {", ".join(missing)} in it, see {__name__}')
    try:
        geodesics = np.load(folder / GEODESICS_FILE, mmap_mode='r')
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f'{folder / GEODESICS_FILE}: cannot be read as .npy ({error})') from None
    count = found['part'].size
    pairs = count * (count - 1) // 2
    shape = getattr(geodesics, 'shape', ('no array',))
    if shape != (pairs,):
        raise InputError(
            f'{folder / GEODESICS_FILE}: expected {pairs} distances of {count} vertices, '
            f'got {list(shape)}'
        )
    _check_mesh(found, count, folder / MESH_FILE)
    return SurfaceMesh(**{name: found[name] for name in _STORED}, geodesics=geodesics)


def _check_mesh(found: dict[str, NDArray[Any]], count: int, path: Path) -> None:
    """InputError if an array has another shape, or values that nothing can mean."""
    expected = dict(part=(count,), u=(count,), v=(count,), mirror=(count,), vertices=(count, 3))
    expected['kappa'] = (NUM_PARTS + 1,)
    wrong = [name for name, shape in expected.items() if found[name].shape != shape]
    if wrong:
        raise InputError(
            f'{path}: {", ".join(wrong)} does not fit {count} vertices of {NUM_PARTS} parts'
        )
    ranges = dict(part=(1, NUM_PARTS), u=(0, 1), v=(0, 1), mirror=(NO_MIRROR, count - 1))
    for name, (low, high) in ranges.items():
        values = found[name]
        if not ((values >= low - _SLACK) & (values <= high + _SLACK)).all():  # NaN is neither
            raise InputError(
                f'{path}: {name}: expected values of {low} to {high}, got {values.min()} to '
                f'{values.max()}'
            )
    kappa = found['kappa'][1:]
    if not (np.isfinite(kappa) & (kappa > 0)).all():
        raise InputError(f'{path}: kappa: expected metres above 0 of parts 1 to {NUM_PARTS}')


def write_symmetry_tables(path: Path, u_table: Floats, v_table: Floats) -> None:
    """Write the tables ``[24, 256, 256]`` of mirrored U and V; rows are V, columns U."""
    save_mat(path, {'U_transforms': _cells(u_table), 'V_transforms': _cells(v_table)}, True)


def read_symmetry_tables(path: str | Path) -> tuple[Floats, Floats]:
    """The tables of mirrored U and of mirrored V, each ``[24, 256, 256]``; rows are V.

    Entry ``[part - 1, floor(255 V), floor(255 U)]`` is U (or V) in the mirror image, on the part
    of the other side.

    Raises:
        MissingFileError: no such file.
        InputError: it is no such file, or has other tables.
    """
    names = ('U_transforms', 'V_transforms')
    content = load_mat(path, names, 'it is part of the UV data of DensePose')
    return _table(path, content, names[0]), _table(path, content, names[1])


def _cells(table: Floats) -> NDArray[Any]:
    cells = np.empty((1, len(table)), object)
    for number, values in enumerate(table):
        cells[0, number] = np.asarray(values, np.float64)
    return cells


def _table(path: str | Path, content: dict[str, Any], name: str) -> Floats:
    cells = np.ravel(content[name])
    expected = (TABLE_SIDE, TABLE_SIDE)
    if len(cells) != NUM_PARTS or any(np.shape(cell) != expected for cell in cells):
        raise InputError(
            f'{path}: {name}: expected {NUM_PARTS} tables of {TABLE_SIDE} x {TABLE_SIDE}, got '
            f'{len(cells)} of {[list(np.shape(cell)) for cell in cells[:1]]}'
        )
    return np.stack([np.asarray(cell, np.float64) for cell in cells])
