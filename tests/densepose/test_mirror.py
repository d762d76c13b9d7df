"""Mirror images: parts, coordinates, masks and network outputs, given and derived tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mmext.demo.figure_mesh import figure_surface, symmetry_tables
from mmext.densepose.mirror import SurfaceMirror, read_mirror
from mmext.errors import InputError, MissingFileError
from mmext.formats.surface_files import (
    MIRRORED_PARTS,
    NO_MIRROR,
    SYMMETRY_FILE,
    write_surface,
    write_symmetry_tables,
)


def test_points_of_the_figures_are_mirrored_exactly() -> None:
    mirror = SurfaceMirror(*symmetry_tables())
    rng = np.random.default_rng(0)
    iuv = np.stack([rng.integers(-1, 25, 300), rng.random(300), rng.random(300)], axis=1)
    kept = iuv.copy()
    found = mirror.points(iuv)
    assert np.array_equal(iuv, kept)
    for before, after in zip(iuv, found, strict=True):
        if before[0] < 1:
            assert np.array_equal(before, after)
            continue
        assert after[0] == MIRRORED_PARTS[int(before[0])]
        assert abs(after[1] - (1 - before[1])) < 1 / 255  # a table has 256 steps
        assert abs(after[2] - before[2]) < 1 / 255


def test_rows_of_the_tables_are_v() -> None:
    u_table, v_table = np.zeros((24, 256, 256)), np.zeros((24, 256, 256))
    u_table[2, 51, 204] = 0.7  # V = .2, U = .8 of part 3
    v_table[2, 51, 204] = 0.1
    found = SurfaceMirror(u_table, v_table).points(np.array([[3, 0.801, 0.2001]]))
    np.testing.assert_allclose(found, [[4, 0.7, 0.1]], atol=1e-6)


def test_tables_are_given_or_derived(tmp_path: Path) -> None:
    mesh = figure_surface()
    write_surface(tmp_path / 'mesh', mesh)
    derived = read_mirror(tmp_path / 'mesh')
    iuv = np.stack([mesh.part, mesh.u, mesh.v], axis=1)
    expected = np.stack([mesh.part[mesh.mirror], mesh.u[mesh.mirror], mesh.v[mesh.mirror]], 1)
    np.testing.assert_allclose(derived.points(iuv), expected, atol=1e-6)
    write_symmetry_tables(tmp_path / 'mesh' / SYMMETRY_FILE, *symmetry_tables())
    for place in (tmp_path / 'mesh', tmp_path / 'mesh' / SYMMETRY_FILE):
        np.testing.assert_allclose(read_mirror(place).points(iuv), expected, atol=0.005)
    write_surface(tmp_path / 'blind', replace(mesh, mirror=np.full(len(mesh.part), NO_MIRROR)))
    with pytest.raises(MissingFileError, match='does not know its mirror image'):
        read_mirror(tmp_path / 'blind')
    odd = mesh.mirror.copy()
    odd[[0, -1]] = odd[[-1, 0]]
    write_surface(tmp_path / 'odd', replace(mesh, mirror=odd))
    with pytest.raises(InputError, match=r'odd: no mirror image .* lead to several parts'):
        read_mirror(tmp_path / 'odd')
    with pytest.raises(MissingFileError, match=r'no mirror tables at .*UV data of'):
        read_mirror(tmp_path / 'nowhere.mat')


@pytest.mark.parametrize('channels', [2, 15])
def test_outputs_of_a_mirrored_image_are_those_of_the_image(channels: int) -> None:
    mirror = SurfaceMirror(*symmetry_tables())
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(2, channels, 6, 6, generator=generator)
    parts = torch.randn(2, 25, 6, 6, generator=generator)
    uv = tuple(torch.rand(2, 2, 25, 6, 6, generator=generator))
    found = mirror.maps(coarse, parts, (uv[0], uv[1]))
    other = torch.tensor(MIRRORED_PARTS)
    assert torch.equal(found[1], parts.flip(-1)[:, other])
    torch.testing.assert_close(
        found[2][:, 1:], 1 - uv[0].flip(-1)[:, other][:, 1:], atol=0.005, rtol=0
    )
    torch.testing.assert_close(found[3][:, 1:], uv[1].flip(-1)[:, other][:, 1:], atol=0.005, rtol=0)
    again = mirror.maps(found[0], found[1], (found[2], found[3]))
    assert torch.equal(again[0], coarse)
    assert torch.equal(again[1], parts)
    torch.testing.assert_close(again[2], uv[0], atol=0.009, rtol=0)
