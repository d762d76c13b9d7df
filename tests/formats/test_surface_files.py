"""The surface of the figures on disk: mesh, geodesics, mirror tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmext.demo.figure_mesh import figure_surface, symmetry_tables
from mmext.errors import InputError, MissingFileError
from mmext.formats.surface_files import (
    GEODESICS_FILE,
    MESH_FILE,
    SYMMETRY_FILE,
    SurfaceMesh,
    read_surface,
    read_symmetry_tables,
    write_surface,
    write_symmetry_tables,
)
from mmext.functional.surface_mirror import derive_symmetry_tables


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('surface')
    write_surface(folder, figure_surface())
    write_symmetry_tables(folder / SYMMETRY_FILE, *symmetry_tables())
    return folder


def test_what_is_written_is_read(folder: Path) -> None:
    mesh, expected = read_surface(folder), figure_surface()
    assert isinstance(mesh.geodesics, np.memmap)
    for name in SurfaceMesh.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(mesh, name), getattr(expected, name))
    tables, written = read_symmetry_tables(folder / SYMMETRY_FILE), symmetry_tables()
    np.testing.assert_array_equal(tables, written)


def test_the_mesh_is_its_own_mirror_image() -> None:
    mesh = figure_surface()
    np.testing.assert_array_equal(mesh.vertices[mesh.mirror] * (-1, 1, 1), mesh.vertices)
    np.testing.assert_array_equal(mesh.mirror[mesh.mirror], np.arange(len(mesh.part)))
    first, second = np.random.default_rng(0).integers(0, len(mesh.part), (2, 5000))
    np.testing.assert_array_equal(
        mesh.distances(first, second), mesh.distances(mesh.mirror[first], mesh.mirror[second])
    )
    height = np.ptp(mesh.vertices[:, 1])
    assert height == pytest.approx(1.7, abs=0.02)  # what kappa is made for


def test_geodesics_are_a_metric_above_the_straight_line() -> None:
    mesh = figure_surface()
    a, b, c = np.random.default_rng(1).integers(0, len(mesh.part), (3, 4000))
    ab, bc, ac = mesh.distances(a, b), mesh.distances(b, c), mesh.distances(a, c)
    assert np.isfinite(ab).all()
    np.testing.assert_array_equal(ab, mesh.distances(b, a))
    np.testing.assert_array_equal(mesh.distances(a, a), 0)
    assert (ac <= ab + bc + 1e-5).all()
    assert (ab >= np.linalg.norm(mesh.vertices[a] - mesh.vertices[b], axis=1) - 1e-6).all()
    left, right = (np.flatnonzero(mesh.part == part)[0] for part in (3, 4))
    assert 1.2 < mesh.distances(left, right) < 2.2  # hand to hand, over arms and chest


def test_pairs_lie_where_the_layout_says() -> None:
    mesh = figure_surface()
    count = 40
    packed = np.arange(count * (count - 1) // 2, dtype=np.float32)
    small = SurfaceMesh(
        mesh.vertices[:count], mesh.part[:count], mesh.u[:count], mesh.v[:count],
        mesh.mirror[:count], mesh.triangles[:0], mesh.kappa, packed,
    )  # fmt: skip
    place = 0
    for i in range(count):
        for j in range(i):
            assert small.distances(np.array(i), np.array(j)) == place
            place += 1


def test_tables_derived_from_the_mesh_are_the_exact_ones_to_the_grid() -> None:
    mesh = figure_surface()
    derived = derive_symmetry_tables(mesh.part, mesh.u, mesh.v, mesh.mirror)
    for table, exact in zip(derived, symmetry_tables(), strict=True):
        assert np.abs(table - exact).max() < 0.102  # half of a cell of the coarsest grid: 1 / 10
        assert np.abs(table - exact).mean() < 0.04
    with pytest.raises(ValueError, match='none of 24'):
        derive_symmetry_tables(mesh.part % 24, mesh.u, mesh.v, mesh.mirror)
    with pytest.raises(ValueError, match='lead to several parts'):
        derive_symmetry_tables(mesh.part, mesh.u, mesh.v, np.roll(mesh.mirror, 5))


def test_bad_files_are_one_clear_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r'mmext\.demo figures'):
        read_surface(tmp_path)
    for name in (MESH_FILE, GEODESICS_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    np.save(tmp_path / GEODESICS_FILE, np.zeros(7, np.float32))
    with pytest.raises(InputError, match=r'expected 1959210 distances of 1980 vertices, got \[7\]'):
        read_surface(tmp_path)
    (tmp_path / MESH_FILE).write_bytes(b'no zip')
    with pytest.raises(InputError, match=r'mesh\.npz is no NumPy file'):
        read_surface(tmp_path)
    with pytest.raises(MissingFileError, match='UV data of DensePose'):
        read_symmetry_tables(tmp_path / 'none.mat')
    (tmp_path / 'bad.mat').write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(600))
    with pytest.raises(InputError, match=r'version 7\.3'):
        read_symmetry_tables(tmp_path / 'bad.mat')
    write_symmetry_tables(tmp_path / 'few.mat', np.zeros((3, 256, 256)), np.zeros((3, 256, 256)))
    with pytest.raises(InputError, match=r'U_transforms: expected 24 tables of 256 x 256, got 3'):
        read_symmetry_tables(tmp_path / 'few.mat')


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('part', lambda part: part - 1, 'part: expected values of 1 to 24, got 0 to 23'),
        ('u', lambda u: u * np.nan, 'u: expected values of 0 to 1, got nan'),
        ('v', lambda v: 255 * v, 'v: expected values of 0 to 1'),
        ('mirror', lambda mirror: mirror + 1, 'mirror: expected values of -1 to 1979'),
        ('kappa', lambda kappa: 0 * kappa, 'kappa: expected metres above 0'),
        ('vertices', lambda vertices: vertices[:, :2], 'vertices does not fit 1980 vertices'),
    ],
)
def test_values_that_nothing_can_mean(
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
    message: str,
    folder: Path,
    tmp_path: Path,
) -> None:
    arrays = dict(np.load(folder / MESH_FILE))
    np.savez(tmp_path / MESH_FILE, **arrays | {name: change(arrays[name])})
    (tmp_path / GEODESICS_FILE).symlink_to(folder / GEODESICS_FILE)
    with pytest.raises(InputError, match=rf'mesh\.npz: {message}'):
        read_surface(tmp_path)


def test_a_surface_that_is_cut_off(folder: Path, tmp_path: Path) -> None:
    whole = (folder / MESH_FILE).read_bytes()
    (tmp_path / GEODESICS_FILE).symlink_to(folder / GEODESICS_FILE)
    for length in (0, len(whole) // 2):
        (tmp_path / MESH_FILE).write_bytes(whole[:length])
        with pytest.raises(InputError, match=r'mesh\.npz is no NumPy file'):
            read_surface(tmp_path)
    (tmp_path / GEODESICS_FILE).unlink()
    (tmp_path / MESH_FILE).write_bytes(whole)
    np.save(tmp_path / GEODESICS_FILE, np.load(folder / GEODESICS_FILE) * np.nan)
    with pytest.raises(InputError, match='distance of the vertices 3 and 7 is no number'):
        read_surface(tmp_path).distances(np.array([3, 7]), np.array([3, 3]))
