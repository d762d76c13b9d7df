"""DensePose's own files of SMPL's surface, read into the form of :mod:`.surface_files`.

Three files of its evaluation, for non-commercial use, which the user has to fetch::

    SMPL_subdiv.mat              U_subdiv, V_subdiv, Part_ID_subdiv of the vertices
    SMPL_SUBDIV_TRANSFORM.mat    index: the number of each vertex in the distances, from 1
    Pdist_matrix.pkl             Pdist_matrix [V (V - 1) / 2, 1]: of the pairs i > j

They say nothing of places, triangles or the mirror image; those stay empty.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError, MissingFileError
from mmext.formats.array_pickles import read_arrays
from mmext.formats.mat_files import load_mat
from mmext.formats.surface_files import NO_MIRROR, NUM_PARTS, SurfaceMesh

CHARTS_FILE, ORDER_FILE = 'SMPL_subdiv.mat', 'SMPL_SUBDIV_TRANSFORM.mat'
DISTANCES_FILE = 'Pdist_matrix.pkl'

# metres: torso, hands, feet, upper and lower legs, upper and lower arms, head
_KAPPAS = (0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150)
_GROUPS = (*(1, 1, 2, 2, 3, 3), *[4] * 4, *[5] * 4, *[6] * 4, *[7] * 4, 8, 8)
_SOURCE = 'it is part of the evaluation data of DensePose, which is for non-commercial use'


def read_smpl_surface(folder: str | Path) -> SurfaceMesh:
    """The surface in a folder with the three files.

    Raises:
        MissingFileError: a file is missing.
        InputError: a file is none, or they do not belong together.
    """
    folder = Path(folder)
    names = 'Part_ID_subdiv', 'U_subdiv', 'V_subdiv'
    charts = load_mat(folder / CHARTS_FILE, names, _SOURCE)
    part, u, v = (np.ravel(charts[name]) for name in names)
    order = np.ravel(load_mat(folder / ORDER_FILE, ('index',), _SOURCE)['index']).astype(np.int64)
    count = len(part)
    if sorted(order - 1) != list(range(count)) or len(u) != count or len(v) != count:
        raise InputError(
            f'{folder}: {ORDER_FILE} has no order of the {count} vertices of {CHARTS_FILE}'
        )
    if not np.isin(part, np.arange(1, NUM_PARTS + 1)).all():
        raise InputError(f'{folder / CHARTS_FILE}: expected parts 1 to {NUM_PARTS}')
    geodesics = _distances(folder / DISTANCES_FILE)
    pairs = count * (count - 1) // 2
    if len(geodesics) != pairs:
        raise InputError(
            f'{folder / DISTANCES_FILE}: expected {pairs} distances of {count} vertices, got '
            f'{len(geodesics)}'
        )
    place = np.argsort(order)  # the vertex at each number of the distances
    return SurfaceMesh(
        vertices=np.zeros((count, 3)),
        part=part[place].astype(np.int64),
        u=u[place].astype(np.float64),
        v=v[place].astype(np.float64),
        mirror=np.full(count, NO_MIRROR),
        triangles=np.zeros((0, 3), np.int64),
        kappa=np.array([0.0, *(_KAPPAS[group - 1] for group in _GROUPS)]),
        geodesics=geodesics,
    )


def _distances(path: Path) -> NDArray[np.float32]:
    if not path.is_file():
        raise MissingFileError(f'{path}: no such file; {_SOURCE}')
    content = read_arrays(path)
    try:
        found: NDArray[np.float32] = np.asarray(content['Pdist_matrix'], np.float32).ravel()
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f'{path}: cannot be read as distances ({error!r})') from None
    return found
