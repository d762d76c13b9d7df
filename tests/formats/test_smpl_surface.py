"""DensePose's files of a surface, in miniature: order, distances, and what is wrong with them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from mmext.cli.prepare.data_sets import DATA_SETS
from mmext.errors import InputError, MissingFileError
from mmext.formats.smpl_surface import read_smpl_surface
from mmext.formats.surface_files import read_surface, write_surface

COUNT = 30


def write_files(folder: Path, **changes: Any) -> dict[str, Any]:
    """Thirty vertices; the distances are |a - b| of secret places, in the order of the index."""
    rng = np.random.default_rng(0)
    part = np.concatenate([np.arange(1, 25), [3, 3, 7, 9, 9, 9]])
    order = rng.permutation(COUNT) + 1
    places = rng.random(COUNT)  # of the vertices as in the charts
    at = np.empty(COUNT)
    at[order - 1] = places
    packed = [abs(at[i] - at[j]) for i in range(COUNT) for j in range(i)]
    content = dict(
        part=part, u=rng.random(COUNT), v=rng.random(COUNT), order=order,
        distances=dict(Pdist_matrix=np.array(packed, np.float32)[:, None]),
    ) | changes  # fmt: skip
    charts = {'Part_ID_subdiv': content['part'][:, None], 'U_subdiv': content['u'][:, None]}
    savemat(folder / 'SMPL_subdiv.mat', charts | {'V_subdiv': content['v'][:, None]})
    savemat(folder / 'SMPL_SUBDIV_TRANSFORM.mat', {'index': content['order'][:, None]})
    (folder / 'Pdist_matrix.pkl').write_bytes(pickle.dumps(content['distances'], protocol=2))
    return dict(content, places=places)


def test_vertices_and_distances_belong_together(tmp_path: Path) -> None:
    given = write_files(tmp_path)
    write_surface(tmp_path / 'surface', read_smpl_surface(tmp_path))
    mesh = read_surface(tmp_path / 'surface')
    number = given['order'] - 1  # where each vertex of the charts is now
    assert np.array_equal(mesh.part[number], given['part'])
    np.testing.assert_allclose(mesh.u[number], given['u'])
    first, second = np.meshgrid(np.arange(COUNT), np.arange(COUNT))
    expected = np.abs(given['places'][first] - given['places'][second])
    np.testing.assert_allclose(mesh.distances(number[first], number[second]), expected, atol=1e-6)
    assert mesh.kappa[1] == 0.351
    assert mesh.kappa[24] == 0.150
    assert (mesh.mirror == -1).all()


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r'SMPL_subdiv\.mat: no such file; .*non-commercial'):
        read_smpl_surface(tmp_path)
    write_files(tmp_path, order=np.ones(COUNT, int))
    with pytest.raises(InputError, match='no order of the 30 vertices'):
        read_smpl_surface(tmp_path)
    write_files(tmp_path, distances=dict(Pdist_matrix=np.zeros(7)))
    with pytest.raises(InputError, match='expected 435 distances of 30 vertices, got 7'):
        read_smpl_surface(tmp_path)
    write_files(tmp_path, part=np.zeros(COUNT))
    with pytest.raises(InputError, match='parts 1 to 24'):
        read_smpl_surface(tmp_path)
    write_files(tmp_path, distances=Path('code.that.would.run'))
    with pytest.raises(InputError, match='is no array'):
        read_smpl_surface(tmp_path)
    (tmp_path / 'Pdist_matrix.pkl').unlink()
    with pytest.raises(MissingFileError, match='Pdist_matrix'):
        read_smpl_surface(tmp_path)


def test_the_program_knows_it(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    import argparse
    import importlib

    write_files(tmp_path)
    module = importlib.import_module(DATA_SETS['densepose-surface'].module)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    module.run(parser.parse_args(['--root', str(tmp_path)]))
    assert '30 vertices, 435 distances' in capsys.readouterr().out
    assert len(read_surface(tmp_path / 'surface').part) == COUNT
